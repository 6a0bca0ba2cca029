//! Names over nodes, in everything that may go wrong.

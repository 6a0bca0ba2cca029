// A plain session of Echoroom and its echo, on the package that a popular tutorial teaches.
const websocket = require('nodejs-websocket');

const port = Number(process.argv[2]);
// All sessions except those at the echo door.
const room = new Set();

const server = websocket.createServer({ noDelay: true }, (connection) => {
  // Without a listener the error of a lost client would end the process.
  connection.on('error', () => {});
  // After a closing handshake the package leaves it to the client to close the socket.
  connection.on('close', () => connection.socket.end());
  if (connection.path.split('?')[0] === '/echo') echo(connection);
  else join(connection);
});

function echo(connection) {
  connection.on('text', (text) => connection.sendText(text));
  connection.on('binary', (stream) => {
    // Collect the data first: the package allows one outgoing stream at a time and rejects other messages
    // meanwhile.
    const chunks = [];
    stream.on('data', (chunk) => chunks.push(chunk));
    stream.on('end', () => connection.sendBinary(Buffer.concat(chunks)));
  });
}

function join(connection) {
  room.add(connection);
  connection.on('close', () => room.delete(connection));
  connection.on('text', (text) => {
    connection.sendText(text.toUpperCase() + '!!!');
    for (const other of room) {
      if (other !== connection) other.sendText(text);
    }
  });
}

// The package's own `listen` has no argument for the backlog.
server.socket.listen({ port, host: '127.0.0.1', backlog: 4096 }, () => {
  console.log(`listening on http://localhost:${port}`);
});

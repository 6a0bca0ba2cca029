// The same job as a plain session of Echoroom, on Node's `ws`: answer in upper case, relay to the others.
const { WebSocketServer, WebSocket } = require('ws');

const server = new WebSocketServer({ port: Number(process.argv[2]), host: '127.0.0.1', perMessageDeflate: false });

server.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, isBinary) => {
    socket.send(isBinary ? data : data.toString().toUpperCase() + '!!!');
    for (const other of server.clients) {
      if (other !== socket && other.readyState === WebSocket.OPEN) other.send(data, { binary: isBinary });
    }
  });
});

server.on('listening', () => console.log(`listening on http://localhost:${process.argv[2]}`));

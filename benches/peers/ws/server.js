// A plain session of Echoroom and its echo, on Node's `ws`: reply in upper case, send to the other members.
const { WebSocketServer, WebSocket } = require('ws');

const server = new WebSocketServer({
  port: Number(process.argv[2]),
  host: '127.0.0.1',
  perMessageDeflate: false,
  backlog: 4096,
});
// All sessions except those at the echo door.
const room = new Set();

server.on('connection', (socket, request) => {
  socket.on('error', () => {});
  if (request.url.split('?')[0] === '/echo') {
    socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }));
    return;
  }
  room.add(socket);
  socket.on('close', () => room.delete(socket));
  socket.on('message', (data, isBinary) => {
    socket.send(isBinary ? data : data.toString().toUpperCase() + '!!!');
    for (const other of room) {
      if (other !== socket && other.readyState === WebSocket.OPEN) other.send(data, { binary: isBinary });
    }
  });
});

server.on('listening', () => console.log(`listening on http://localhost:${process.argv[2]}`));

// Echoroom's conformance fixture and its relay, on the reference server. The options are its defaults (which
// do not compress frames), except connection state recovery, which an argument turns on.
const { createServer } = require('node:http');
const { Server } = require('socket.io');

const [port, recovery] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, recovery === 'recovery' ? { connectionStateRecovery: {} } : {});

io.on('connection', (socket) => {
  socket.on('message', (...args) => socket.emit('message-back', ...args));
});

io.of('/relay').on('connection', (socket) => {
  let room;
  socket.on('join', (name, ack) => {
    room = name;
    socket.join(room);
    ack({ room });
  });
  socket.onAny((event, ...args) => {
    if (event !== 'join') socket.to(room).emit(event, ...args);
  });
});

http.listen(Number(port), '127.0.0.1', () => console.log(`listening on http://localhost:${port}`));

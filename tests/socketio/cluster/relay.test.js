// The program's relay spans its nodes, and Node servers that have its namespace.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect, next, startServer, until } from '../harness.js';
import { startNode } from './nodes.js';
import { startRedis } from './redis.js';
import { comeBack, cutOff } from './wandering.js';

const KEY = 'program';

for (const format of ['classic', 'sharded', 'streams']) {
  describe(format, () => {
    let redis;
    let programs;
    const clients = [];
    // The nodes that have sockets in a room.
    const rooms = new Map();
    before(async () => {
      redis = await startRedis();
      const flags = ['--relay', 'on', '--redis', redis.url, '--socketio-adapter', format, '--socketio-key', KEY];
      programs = await Promise.all([0, 1].map(() => startServer(...flags)));
      await until('both', () => countIs(2));
    });
    after(async () => {
      clients.forEach((client) => client.disconnect());
      await Promise.all(programs.map((program) => program.stop()));
      await redis.stop();
    });

    async function countIs(wanted) {
      const channel = format === 'classic' ? `${KEY}-request#/relay#` : `${KEY}#/relay#`;
      const [, count] = await redis.ask('PUBSUB', format === 'sharded' ? 'SHARDNUMSUB' : 'NUMSUB', channel);
      return count === wanted;
    }

    /** A client in a room of the relay. Lines that it hears go to `heard`, without offsets. */
    async function join(index, room) {
      const client = connect(`${programs[index].url}/relay`, { transports: ['websocket'] });
      clients.push(client);
      const heard = [];
      client.on('line', (...args) => heard.push(args.slice(0, -1)));
      await next(client, 'connect');
      assert.deepEqual(await client.emitWithAck('join', room), { room });
      rooms.set(room, (rooms.get(room) ?? new Set()).add(index));
      const subscribed = async () => (await redis.ask('PUBSUB', 'SHARDNUMSUB', `${KEY}#/relay#${room}#`))[1];
      if (format === 'sharded') await until('the channel', async () => (await subscribed()) === rooms.get(room).size);
      return Object.assign(client, { heard });
    }

    test('what a client emits the others in its room get, at each node', async () => {
      const [ann, ben, cat, far] = [await join(0, 'a'), await join(1, 'a'), await join(0, 'a'), await join(1, 'b')];
      const bytes = [Buffer.from([1, 2]), { more: Buffer.from([0, 255]) }];
      await reaches(ann, [ben, cat], 'text', null, bytes);
      await reaches(ben, [ann, cat], 'from', 7);
      assert.equal(far.heard.length, 0);
    });

    /** Has a client emit a line, which each of the others hears once. */
    async function reaches(from, others, ...args) {
      from.heard.length = 0;
      others.forEach((other) => { other.heard.length = 0; });
      assert.deepEqual(await from.emitWithAck('line', ...args), {});
      await until('the line', () => others.every(({ heard }) => heard.length === 1));
      for (const { heard } of others) assert.deepEqual(heard[0], args);
      assert.equal(from.heard.length, 0);
    }

    test('clients at both nodes hear one order', async () => {
      const [ann, ben, cat, dan] = [await join(0, 'o'), await join(1, 'o'), await join(0, 'o'), await join(1, 'o')];
      await reaches(ann, [ben, cat, dan], 'ready');
      await reaches(ben, [ann, cat, dan], 'ready');
      for (const one of [ann, ben, cat, dan]) one.heard.length = 0;
      for (let number = 0; number < 1000; number += 1) {
        ann.emit('line', 'ann', number);
        ben.emit('line', 'ben', number);
        if (number % 20 === 0) await new Promise(setImmediate);
      }
      await until('all', () => [cat, dan].every(({ heard }) => heard.length === 2000) && [ann, ben].every(({ heard }) => heard.length === 1000));
      assert.deepEqual(cat.heard, dan.heard);
      assert.deepEqual(ann.heard, cat.heard.filter(([name]) => name === 'ben'));
    });

    test('a client that comes back to its node hears what was said at both meanwhile', async () => {
      const [ann, ben, cat] = [await join(0, 'r'), await join(1, 'r'), await join(0, 'r')];
      await reaches(ben, [ann, cat], 'before');
      const { id } = ann;
      const gone = next(ann, 'disconnect');
      ann.io.reconnection(false);
      ann.io.engine.close();
      await gone;
      for (const [one, line] of [[ben, 1], [cat, 2], [ben, 3]]) {
        await one.emitWithAck('line', line);
        await until('the line', () => (one === ben ? cat : ben).heard.some(([heard]) => heard === line));
      }
      await comeBack(ann, programs[0]);
      assert.deepEqual([ann.recovered, ann.id], [true, id]);
      await until('the lines', () => ann.heard.length === 4);
      assert.deepEqual(ann.heard, [['before'], [1], [2], [3]]);
      await ann.emitWithAck('line', 'in its room');
      await until('it', () => ben.heard.some(([line]) => line === 'in its room'));
    });

    if (format === 'streams') test('a client that comes to the other node hears what was said at both meanwhile', async () => {
      const [ann, ben] = [await join(0, 's'), await join(1, 's')];
      await reaches(ben, [ann], 'before');
      const { id } = ann;
      for (const round of [1, 2, 3]) {
        await cutOff(redis, ann);
        await ben.emitWithAck('line', round);
        await comeBack(ann, programs[round % 2]);
        assert.deepEqual([ann.recovered, ann.id], [true, id]);
        await until('the line', () => ann.heard.length === 1 + round);
        assert.deepEqual(ann.heard.at(-1), [round]);
        await ann.emitWithAck('line', `back ${round}`);
        await until('its line', () => ben.heard.at(-1)?.[0] === `back ${round}`);
      }
    });

    test('a Node server that has the namespace and the key is one of them', async () => {
      const ann = await join(0, 'n');
      const options = { key: KEY, channelPrefix: KEY, streamName: KEY };
      const node = await startNode(redis, format, 'node-redis', options);
      try {
        await node.run(`io.of('/relay').on('connection', (socket) => {
          socket.join('n');
          socket.on('line', (...args) => socket.to('n').emit('line', ...args));
        })`);
        await until('three', () => countIs(3));
        const guest = connect(`${node.url}/relay`, { transports: ['websocket'] });
        clients.push(guest);
        const heard = [];
        guest.on('line', (...args) => heard.push(args));
        await next(guest, 'connect');
        await until('the lines of ann', async () => {
          await ann.emitWithAck('line', 'hello', Buffer.from([7]));
          return heard.length > 0;
        });
        assert.deepEqual(heard[0].slice(0, 2), ['hello', Buffer.from([7])]);
        await until('the lines of the guest', () => {
          guest.emit('line', 'welcome');
          return ann.heard.length > 0;
        });
        assert.deepEqual(ann.heard[0], ['welcome']);
        guest.disconnect();
      } finally {
        await node.stop();
      }
    });
  });
}

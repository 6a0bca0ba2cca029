// What an application does at one server reaches the clients of all servers of the cluster, whatever server it is done at.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { until } from '../harness.js';
import { GREETING, OURS, allHear, allHearVolatile, settled, startNodes, withoutOffset } from './nodes.js';
import { startRedis } from './redis.js';

const KINDS = [OURS, 'node-redis', 'ioredis'];

for (const format of ['classic', 'sharded', 'streams']) {
  describe(format, () => {
    let redis;
    let nodes;
    // At each server one client in red and one in blue.
    let reds;
    let blues;
    before(async () => {
      redis = await startRedis();
      nodes = await startNodes(redis, format, KINDS);
      reds = await Promise.all(nodes.map((node) => node.enter('red')));
      blues = await Promise.all(nodes.map((node) => node.enter('blue')));
      await settled(redis, format, 'red', reds);
      await settled(redis, format, 'blue', blues);
    });
    after(async () => {
      await Promise.all(nodes.map((node) => node.stop()));
      await redis.stop();
    });

    /** Runs a test once for each server. */
    function fromEach(name, run) {
      KINDS.forEach((kind, index) => test(`${kind}: ${name}`, () => run(reds[index], index, `${kind} ${index}`)));
    }

    fromEach('an event to all reaches each client of each server once', async (client, index, event) => {
      const everyone = [...reds, ...blues];
      const heard = await allHear(everyone, () => client.emit('all', `all ${event}`, 'text', { n: index }), `all ${event}`);
      heard.forEach((args) => assert.deepEqual(args, ['text', { n: index }]));
    });

    fromEach('an event to a room reaches the sockets in it and no other', async (client, index, event) => {
      await allHear(reds, () => client.emit('to', 'red', `red ${event}`, 1), `red ${event}`);
      // What comes behind it has come.
      await allHear(blues, () => client.emit('to', 'blue', `blue ${event}`), `blue ${event}`);
      assert.ok(blues.every(({ heard }) => !heard.some(([name]) => name === `red ${event}`)));
    });

    fromEach('an event to the id of a socket reaches it, wherever it is', async (client, index, event) => {
      for (const one of blues) {
        const name = `one ${event} ${one.id}`;
        assert.deepEqual(await allHear([one], () => client.emit('to', one.id, name, 7), name), [[7]]);
        assert.ok([...reds, ...blues].filter((other) => other !== one).every(({ heard }) => !heard.some(([heardName]) => heardName === name)));
      }
    });

    fromEach('an event of one namespace is not heard in another one', async (client, index, event) => {
      const admins = await Promise.all(nodes.map((node) => node.enter('red', { namespace: '/admin' })));
      await settled(redis, format, 'red', admins, '/admin');
      await allHear(admins, () => admins[index].emit('to', 'red', `admins ${event}`), `admins ${event}`);
      await allHear(reds, () => client.emit('to', 'red', `users ${event}`), `users ${event}`);
      assert.ok(reds.every(({ heard }) => !heard.some(([name]) => name === `admins ${event}`)));
      assert.ok(admins.every(({ heard }) => !heard.some(([name]) => name === `users ${event}`)));
      assert.equal((await client.emitWithAck('who', 'red')).length, reds.length);
      admins.forEach((admin) => admin.disconnect());
      await until('the admins to be gone', async () => {
        const guest = await nodes[index].enter('guest', { namespace: '/admin' });
        const found = await guest.emitWithAck('who', 'red');
        guest.disconnect();
        return found.length === 0;
      });
    });

    fromEach('the sockets of a room are found at all servers, with their rooms and data', async (client, index) => {
      const data = { name: `set at ${index}`, list: [1, null, 'ü', { deep: true }] };
      await client.emitWithAck('set', data);
      for (const one of reds) {
        const found = await one.emitWithAck('who', 'red');
        assert.equal(found.length, reds.length);
        const shown = found.find(({ id }) => id === client.id);
        assert.deepEqual([shown.data, [...shown.rooms].sort()], [data, [client.id, 'all', 'red'].sort()]);
      }
      assert.deepEqual(await client.emitWithAck('who', 'nowhere'), []);
    });

    fromEach('a socket is found by its id', async (client) => {
      for (const one of blues) {
        const found = await client.emitWithAck('who', one.id);
        assert.deepEqual(found.map(({ id }) => id), [one.id]);
      }
    });

    fromEach('a question to a room is answered by each of its sockets', async (client) => {
      const answers = await client.emitWithAck('ask', 'red', 'why');
      assert.deepEqual(answers.sort(), reds.map(({ node, id }) => `${node.kind} ${id} why`).sort());
      assert.deepEqual(await client.emitWithAck('ask', 'nowhere', 'why'), []);
    });

    fromEach('an event for servers is answered by each other one', async (client, index) => {
      const answers = await client.emitWithAck('sse', 'hello', 'you');
      const others = KINDS.filter((_, other) => other !== index);
      assert.deepEqual(answers.sort(), others.map((kind) => `${GREETING[kind]} you`).sort());
    });

    fromEach('the sockets of a room are moved to another one at all servers', async (client, index, event) => {
      const green = `green ${event}`;
      client.emit('move', 'blue', green);
      await settled(redis, format, green, blues);
      const heard = await allHear(blues, () => client.emit('to', green, `moved ${event}`, 1), `moved ${event}`);
      heard.forEach((args) => assert.deepEqual(args, [1]));
      // They are in both rooms now, and leave the new one.
      for (const blue of blues) await blue.emitWithAck('leave', green);
      await until('the room to be empty', async () => (await client.emitWithAck('who', green)).length === 0);
    });

    fromEach('the sockets of a room are disconnected at all servers', async (client, index, event) => {
      const room = `gray ${event}`;
      const grays = await Promise.all(nodes.map((node) => node.enter(room)));
      await settled(redis, format, room, grays);
      const reasons = grays.map((gray) => new Promise((resolve) => gray.once('disconnect', resolve)));
      client.emit('kick', room);
      assert.deepEqual(await Promise.all(reasons), grays.map(() => 'io server disconnect'));
      assert.deepEqual(await client.emitWithAck('who', room), []);
      grays.forEach((gray) => gray.disconnect());
    });

    fromEach('a socket that joins a room or leaves it is in it at once, for all servers', async (client, index, event) => {
      const room = `yellow ${event}`;
      await client.emitWithAck('join', room);
      for (const one of reds) assert.deepEqual((await one.emitWithAck('who', room)).map(({ id }) => id), [client.id]);
      await client.emitWithAck('leave', room);
      for (const one of reds) assert.deepEqual(await one.emitWithAck('who', room), []);
    });

    fromEach('events of one server keep their order', async (client, index, event) => {
      const name = `ordered ${event}`;
      for (let number = 0; number < 300; number += 1) client.emit(...(number % 3 ? ['to', 'red'] : ['all']), name, number);
      await until('all of them', () => reds.every(({ heard }) => heard.filter(([heardName]) => heardName === name).length === 300));
      for (const red of reds) {
        const numbers = red.heard.filter(([heardName]) => heardName === name).map((args) => args[1]);
        assert.deepEqual(numbers, [...Array(300).keys()]);
      }
    });

    // What only the reference servers can be told to do, at ours.
    if (OURS === KINDS[0]) KINDS.slice(1).forEach((kind, index) => {
      const name = `flags ${kind}`;

      test(`${kind}: rooms, exceptions and flags of an event are those of its sender`, async () => {
        const node = nodes[index + 1];
        const sent = (code, ...args) => node.run(`io${code}`, ...args);
        await sent('.to(["red", "blue"]).except($0).emit($1)', reds[0].id, `except ${name}`);
        await sent('.local.emit($0)', `local ${name}`);
        await sent('.to("red").emit($0)', `last ${name}`);
        await until('the last', () => reds[0].heard.some(([event]) => event === `last ${name}`));
        await until('the other', () => blues[0].heard.some(([event]) => event === `except ${name}`));
        const isVolatile = `volatile ${name}`;
        await allHearVolatile([blues[0]], () => sent('.except("red").volatile.compress(false).emit($0, 1)', isVolatile), isVolatile);
        const of = ({ heard }) => heard.map(([event]) => event).filter((event) => event.endsWith(name));
        assert.deepEqual(of(reds[0]), [`last ${name}`]);
        assert.deepEqual([...new Set(of(blues[0]))], [`except ${name}`, isVolatile]);
        const args = blues[0].heard.find(([event]) => event === isVolatile).slice(1);
        assert.deepEqual(withoutOffset(blues[0], args), [1]);
      });

      test(`${kind}: one socket of another server is asked, moved and disconnected`, async () => {
        const node = nodes[index + 1];
        const guest = await nodes[0].enter(`guest ${kind}`);
        await settled(redis, format, `guest ${kind}`, [guest]);
        const one = 'const [one] = await io.in($0).fetchSockets(); if (!one) throw new Error("not found");';
        const answer = await node.run(`${one} return one.timeout(2000).emitWithAck("question", "five")`, guest.id);
        assert.equal(answer, `${OURS} ${guest.id} five`);
        assert.equal(await node.run(`${one} return one.handshake.query.room`, guest.id), `guest ${kind}`);
        await node.run(`${one} one.join(["x", "y"]); one.leave("x"); one.emit("seen", $1)`, guest.id, 9);
        await until('the event', () => guest.heard.length > 0);
        assert.deepEqual(withoutOffset(guest, guest.heard[0]), ['seen', 9]);
        await until('its rooms', async () => (await guest.emitWithAck('who', 'y')).length === 1);
        assert.deepEqual(await guest.emitWithAck('who', 'x'), []);
        const gone = new Promise((resolve) => guest.once('disconnect', resolve));
        await node.run(`${one} one.disconnect(true)`, guest.id);
        assert.match(await gone, /^(transport close|io server disconnect)$/);
      });

      test(`${kind}: a server counts ours`, async () => {
        assert.equal(await nodes[index + 1].run('return io.of("/").adapter.serverCount()'), 3);
      });

      if (format === 'classic') test(`${kind}: all rooms of all servers are listed`, async () => {
        const rooms = await nodes[index + 1].run('return [...await io.of("/").adapter.allRooms()]');
        for (const room of ['red', 'blue', 'all', ...reds.map(({ id }) => id)]) assert.ok(rooms.includes(room), room);
      });
    });
  });
}

// "An address where no server listens": a port that is closed, and that browsers do connect to.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { test } from 'node:test';
import { eventually, startServer, useWorld } from './harness.js';

const world = useWorld();

for (const [what, bind, host] of [['IPv4', '127.0.0.1', '127.0.0.1'], ['a name', '127.0.0.1', 'localhost'], ['IPv6', '::1', '[::1]']]) {
  test(`the address where no server listens is refused by the machine, not by the browser (${what})`, async (t) => {
    const server = await startServer({ flags: ['--bind', bind] });
    t.after(() => server.stop());
    const said = [];
    const page = await world.open({
      url: `http://${host}:${server.port}`,
      path: '/#lessons/socket',
      prepare: (opened) => opened.on('console', (line) => said.push(line.text())),
    });
    await page.getByRole('button', { name: 'An address where no server listens' }).click();
    const log = page.locator('.lesson-log').first();
    await log.getByText('The handshake failed').waitFor();
    await eventually(() => log.locator('li:not(.remark) code').allTextContents(), ['create', 'error', 'close']);
    const address = new URL(await page.getByLabel('Address of the server').inputValue());
    await eventually(() => said.filter((line) => line.includes(address.port)).join('\n'), /ERR_CONNECTION_REFUSED/);
    assert.equal(said.some((line) => /UNSAFE_PORT|Content Security Policy/.test(line)), false, said.join('\n'));
    for (const one of ['127.0.0.1', bind]) {
      const [error] = await once(connect(Number(address.port), one), 'error');
      assert.equal(error.code, 'ECONNREFUSED');
    }
  });
}

test('a server without lessons names no closed port, and the page does not offer one', async (t) => {
  const server = await startServer({ flags: ['--lessons', 'off'] });
  t.after(() => server.stop());
  const page = await world.open({ url: server.url, path: '/#lessons/socket' });
  await eventually(() => page.getByRole('button', { name: 'An address where no server listens' }).isDisabled(), true);
});

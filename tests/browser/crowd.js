// Members of a room without pages: sockets at `/chat`, opened by a page of their own.

/** Opens such a page. `join(names)` logs members in, `say(name, texts)` speaks for one, `leave(names)` lets them go. */
export async function crowd(world, room) {
  // Not a tab of the test: a page of JSON has no icon, and what a browser says of that is no problem of the page.
  const page = await world.browser.newPage();
  await page.goto(`${world.server.url}/health`);
  await page.evaluate((name) => {
    globalThis.sockets = new Map();
    globalThis.join = (username) => new Promise((resolve, reject) => {
      const socket = new WebSocket(`${location.origin.replace('http', 'ws')}/chat`);
      socket.onopen = () => socket.send(JSON.stringify({ event: 'login', data: { username, room: name, presence: 'changes' } }));
      socket.onmessage = ({ data }) => {
        if (data.includes('"loginError"')) reject(new Error(data));
        if (data.includes('"loginSuccess"')) resolve(globalThis.sockets.set(username, socket));
      };
    });
    globalThis.speak = async (username, texts) => {
      const socket = globalThis.sockets.get(username);
      // Not all at once: a member who has more than a thousand answers waiting is a slow reader, and is sent away.
      for (let from = 0; from < texts.length; from += 250) {
        const upTo = Math.min(from + 250, texts.length);
        const acked = new Promise((resolve, reject) => {
          socket.addEventListener('message', ({ data }) => data.startsWith(`{"ack":${upTo},`) && resolve());
          socket.addEventListener('close', ({ code }) => reject(new Error(`closed with ${code}`)));
        });
        for (let at = from; at < upTo; at += 1) {
          socket.send(JSON.stringify({ event: 'sendMessage', data: { msg: texts[at] }, ack: at + 1 }));
        }
        await acked;
      }
    };
  }, room);
  return {
    join: (names) => page.evaluate(async (all) => { for (const name of all) await globalThis.join(name); }, names),
    say: (name, texts) => page.evaluate(([who, what]) => globalThis.speak(who, what), [name, texts]),
    leave: (names) => page.evaluate((all) => all.forEach((name) => globalThis.sockets.get(name).close(1000)), names),
  };
}

/** The texts `number FIRST` to `number LAST`. */
export const numbered = (first, last) => Array.from({ length: last - first + 1 }, (_, at) => `number ${first + at}`);

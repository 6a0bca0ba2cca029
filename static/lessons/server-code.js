// The two programs of the lesson about the server's side. Comments are in the reader's language; all else is the text of a
// program that runs: tests run the first one, and compare the second one with `examples/upper_case.rs`, which is built.
import { words } from '../i18n.js';

const comment = (key, indent = '') => () => `${indent}// ${words(key)}`;

/** A server of callbacks, on the package that tutorials teach. */
export const CALLBACKS = [
  { lines: ["const websocket = require('nodejs-websocket');", ''] },
  {
    step: 'started',
    lines: [
      comment('lesStepConnection'),
      'const server = websocket.createServer((connection) => {',
      "  console.log('opened');",
    ],
  },
  {
    step: 'handle',
    lines: [
      '',
      comment('lesStepText', '  '),
      "  connection.on('text', (text) => {",
      '    console.log(`sent a text of ${text.length} characters`);',
      "    connection.sendText(text.toUpperCase() + '!!!');",
      '  });',
    ],
  },
  {
    step: 'stopped',
    lines: [
      '',
      comment('lesStepEnd', '  '),
      "  connection.on('close', (code) => console.log('closed', code));",
      "  connection.on('error', (error) => console.log('broken', error.message));",
    ],
  },
  { lines: ['});', '', 'server.listen(3000);'] },
];

/** The server as an actor. */
export const ACTOR = [
  {
    lines: [
      'use actix::{Actor, ActorContext, StreamHandler};',
      'use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};',
      'use actix_web_actors::ws::{self, Message, ProtocolError, WebsocketContext};',
      '',
      'struct Session;',
      '',
      'impl Actor for Session {',
      '    type Context = WebsocketContext<Self>;',
      '',
    ],
  },
  {
    step: 'started',
    lines: [
      '    fn started(&mut self, _: &mut Self::Context) {',
      '        println!("opened");',
      '    }',
    ],
  },
  { lines: [''] },
  {
    step: 'stopped',
    lines: [
      '    fn stopped(&mut self, _: &mut Self::Context) {',
      '        println!("closed");',
      '    }',
    ],
  },
  {
    lines: [
      '}',
      '',
      'impl StreamHandler<Result<Message, ProtocolError>> for Session {',
    ],
  },
  {
    step: 'handle',
    lines: [
      '    fn handle(&mut self, message: Result<Message, ProtocolError>, ctx: &mut Self::Context) {',
      '        match message {',
      '            Ok(Message::Text(text)) => {',
      '                println!("sent a text of {} bytes", text.len());',
      '                ctx.text(text.to_uppercase() + "!!!");',
      '            }',
      '            Ok(Message::Ping(bytes)) => ctx.pong(&bytes),',
      '            Ok(Message::Close(reason)) => {',
      '                ctx.close(reason);',
      '                ctx.stop();',
      '            }',
      '            Ok(_) => {}',
      '            Err(error) => {',
      '                println!("broke a rule: {error}");',
      '                ctx.stop();',
      '            }',
      '        }',
      '    }',
    ],
  },
  {
    lines: [
      '}',
      '',
      'pub async fn open(request: HttpRequest, payload: web::Payload) -> Result<HttpResponse, Error> {',
      '    ws::start(Session, &request, payload)',
      '}',
      '',
      '#[actix_web::main]',
      'async fn main() -> std::io::Result<()> {',
      '    HttpServer::new(|| App::new().route("/", web::get().to(open))).bind(("127.0.0.1", 3000))?.run().await',
      '}',
    ],
  },
];

// A plain session of Echoroom and its echo, on uWebSockets (version 20, as of February 2024).
//
// uWebSockets batches publishes: a message waits until the end of the loop's turn, and up to 32 messages go
// to a session in one write through a shared buffer of 16 KiB. The 33rd message for a session in a turn makes
// it write the first 32 immediately, one by one. A message of 16 KiB or more is written immediately. The
// replies to one read go out in one write.
#include <sys/resource.h>
#include <sys/socket.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>

#include "App.h"

namespace {

constexpr int backlog = 4096;
constexpr char room[] = "room";

struct Session {};
using Socket = uWS::WebSocket<false, true, Session>;

uWS::App::WebSocketBehavior<Session> behavior() {
    uWS::App::WebSocketBehavior<Session> behavior;
    behavior.compression = uWS::DISABLED;
    behavior.maxPayloadLength = 16 * 1024 * 1024;
    behavior.maxBackpressure = 64 * 1024 * 1024;
    behavior.idleTimeout = 120;
    return behavior;
}

// Raises the limit on open files, which a thousand sessions would exceed.
bool raise_open_files() {
    rlimit files{};
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return false;
    files.rlim_cur = files.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &files) == 0;
}

}  // namespace

int main(int argc, char **argv) {
    if (argc < 2) {
        std::cerr << "usage: " << argv[0] << " PORT\n";
        return EXIT_FAILURE;
    }
    const int port = std::atoi(argv[1]);
    if (!raise_open_files()) {
        std::perror("the limit of open files");
        return EXIT_FAILURE;
    }

    auto echo = behavior();
    echo.message = [](Socket *socket, std::string_view message, uWS::OpCode opcode) { socket->send(message, opcode); };

    auto session = behavior();
    session.open = [](Socket *socket) { socket->subscribe(room); };
    session.message = [](Socket *socket, std::string_view message, uWS::OpCode opcode) {
        if (opcode != uWS::OpCode::TEXT) return;
        std::string answer;
        answer.reserve(message.size() + 3);
        for (const char c : message) answer += c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
        answer += "!!!";
        socket->send(answer, opcode);
        // A publish by a socket skips that socket.
        socket->publish(room, message, opcode);
    };

    bool failed = false;
    uWS::App()
        .ws<Session>("/echo", std::move(echo))
        .ws<Session>("/*", std::move(session))
        .listen("127.0.0.1", port,
                [&](us_listen_socket_t *listener) {
                    // The library listens with a backlog of 512. A second `listen` only sets the backlog.
                    failed = !listener ||
                             listen(static_cast<int>(reinterpret_cast<std::intptr_t>(us_socket_get_native_handle(
                                        0, reinterpret_cast<us_socket_t *>(listener)))),
                                    backlog) != 0;
                    if (!failed) std::cout << "listening on http://localhost:" << port << std::endl;
                })
        .run();
    if (failed) std::cerr << "cannot listen on port " << port << '\n';
    return EXIT_FAILURE;
}

FROM rust:1.95-slim-bookworm AS build
WORKDIR /build

# Dependencies in a layer of their own: it is built again only when they change. The targets at the end of the manifest
# are tests and benchmarks, whose sources stay outside.
COPY Cargo.toml Cargo.lock ./
RUN sed -i '/^\[\[/,$d' Cargo.toml \
    && mkdir src && echo 'fn main() {}' > src/main.rs && touch src/lib.rs \
    && cargo build --release --locked --bin echoroom

COPY src ./src
# The server has the client script in itself.
COPY static/socket.io.js ./static/
# Newer than the stand-ins above, so that cargo builds them.
RUN touch src/lib.rs src/main.rs && cargo build --release --locked --bin echoroom

FROM debian:bookworm-slim
# The journal's folder is the server's own, so that a volume mounted there is too.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin echoroom \
    && install -d -o echoroom -g echoroom /data
WORKDIR /app
COPY --from=build /build/target/release/echoroom /usr/local/bin/echoroom
COPY static ./static
USER echoroom
ENV ECHOROOM_DATA_DIR=/data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=2s CMD ["echoroom", "healthcheck"]
ENTRYPOINT ["echoroom"]

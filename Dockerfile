# Base images have a version and a Debian release, so that a build tomorrow starts from what a build today
# starts from. To raise Rust, take a later `rust:X.Y.Z-slim-bookworm`, no older than `rust-version` in
# Cargo.toml. To raise Debian, take a later `debian:bookworm-YYYYMMDD-slim`, and do so for security fixes: a
# dated tag never gets any. Both have the same Debian release, because the binary uses the C library that it
# was linked with.
FROM rust:1.95.0-slim-bookworm AS chef
WORKDIR /build
RUN cargo install --locked cargo-chef --version 0.1.78

# The recipe holds manifest and lock file without this package's version. Edits of sources do not change it.
FROM chef AS planner
COPY Cargo.toml Cargo.lock ./
COPY src ./src
RUN cargo chef prepare --recipe-path recipe.json

FROM chef AS build
# Dependencies have a layer of their own, which is built again only when the recipe changes.
COPY --from=planner /build/recipe.json ./
RUN cargo chef cook --release --locked --bin echoroom --recipe-path recipe.json
COPY Cargo.toml Cargo.lock ./
COPY src ./src
# The server has the client script in itself.
COPY static/socket.io.js ./static/
RUN cargo build --release --locked --bin echoroom

FROM debian:bookworm-20260824-slim
# The journal's folder is the server's own, so that a volume mounted there is too.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin echoroom \
    && install -d -o echoroom -g echoroom /data
# Whom to trust when a Redis is reached by TLS (`rediss://`).
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
WORKDIR /app
COPY --from=build /build/target/release/echoroom /usr/local/bin/echoroom
COPY static ./static
USER echoroom
ENV ECHOROOM_DATA_DIR=/data
VOLUME /data
EXPOSE 3000
HEALTHCHECK --interval=10s --timeout=5s --start-period=2s CMD ["echoroom", "healthcheck"]
ENTRYPOINT ["echoroom"]

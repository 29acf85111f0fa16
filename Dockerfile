# Builds the production profile; the image holds the binary and certificates.
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/target \
    CARGO_TARGET_DIR=/target cargo build --release --locked --workspace --bin watershed \
    && cp /target/release/watershed /watershed

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /var/lib/watershed --create-home watershed
COPY --from=build /watershed /usr/local/bin/watershed
USER watershed
WORKDIR /var/lib/watershed
VOLUME /var/lib/watershed
EXPOSE 9464
ENTRYPOINT ["watershed"]
CMD ["--help"]

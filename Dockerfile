# syntax=docker/dockerfile:1

# Image of the server and the page; docs/install-server.md says how to run it. Python packages are installed by hash from
# requirements/. The base images are named by tag: Python and Debian line are fixed, their security updates come in.
# Where every build must start from the same bytes, add the digest of your registry to the FROM lines. Packages of npm,
# which the page loads, are installed by hash too.
# requirements/runtime.txt includes PyAV and pillow-heif, whose wheels hold GPL code (x264, x265): whoever hands the
# image on takes those terms on.

FROM node:22-trixie-slim AS page
WORKDIR /src
COPY scripts/page-libraries scripts/
COPY disrupt/web/package.json disrupt/web/package-lock.json disrupt/web/
RUN scripts/page-libraries --omit=dev

FROM python:3.11-slim-trixie AS builder
WORKDIR /src
COPY requirements requirements
RUN --mount=type=cache,target=/root/.cache \
    python -m venv /opt/build \
    && /opt/build/bin/python -m pip install --require-hashes --requirement requirements/bootstrap.txt \
    && /opt/build/bin/uv pip install --python /opt/build --require-hashes --requirement requirements/build.txt
RUN --mount=type=cache,target=/root/.cache \
    python -m venv --without-pip /opt/disrupt \
    && /opt/build/bin/uv pip install --python /opt/disrupt --link-mode copy --compile-bytecode \
        --require-hashes --only-binary :all: --requirement requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY disrupt disrupt
COPY --from=page /src/disrupt/web/page/libraries disrupt/web/page/libraries
COPY indexer indexer
RUN --network=none \
    /opt/build/bin/uv build --wheel --offline --no-build-isolation --python /opt/build --out-dir /opt/wheel . \
    && /opt/build/bin/uv pip install --python /opt/disrupt --compile-bytecode \
        --offline --no-deps /opt/wheel/*.whl

FROM python:3.11-slim-trixie
LABEL org.opencontainers.image.title="Disrupt" \
      org.opencontainers.image.description="Hash database for stopping the sharing of intimate images without consent" \
      org.opencontainers.image.licenses="Apache-2.0 AND GPL-2.0-or-later"
# Pango, which sets `disrupt yearly-report` as PDF, and its font.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends \
        fonts-dejavu-core libharfbuzz-subset0 libpango-1.0-0 libpangoft2-1.0-0 \
    && rm -rf /var/lib/apt/lists/*
# The uid is fixed, so that the owner of a volume's files is the same in every version.
RUN groupadd --gid 10001 disrupt \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin disrupt \
    && install --directory --owner disrupt --group disrupt --mode 0700 /data
COPY --from=builder /opt/disrupt /opt/disrupt
# The root file system may be read-only. /data is written, also by numba, which keeps what it compiled there: it knows
# no cache that it cannot write to. /tmp is a tmpfs. The proxy of deploy/compose.yaml shares the container's loopback;
# other addresses need TLS.
ENV PATH=/opt/disrupt/bin:$PATH \
    HOME=/tmp \
    NUMBA_CACHE_DIR=/data/compiled \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DISRUPT_DATA_DIR=/data \
    DISRUPT_LISTEN=127.0.0.1:50051
USER 10001:10001
VOLUME /data
STOPSIGNAL SIGTERM
# The first start with 20 000 hashes or more compiles the search.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 CMD ["disrupt", "health"]
ENTRYPOINT ["disrupt"]
CMD ["serve"]

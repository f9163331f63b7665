# The operator's image. All packages come from the locks, with hashes. The last stage has no shell, pip or package
# manager.
#   docker build -t clientcert-operator:0.1.0 .
#   docker build -t clientcert-operator:0.1.0-apprise --build-arg LOCK=apprise.lock .    # with channels of type Apprise
# BASE may be any Debian or Ubuntu with Python 3.11 or newer, venv and pip. A release names it by digest.
ARG BASE=python:3.13-slim
FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
ARG LOCK=run.lock
WORKDIR /src

COPY requirements/ requirements/
RUN python3 -m venv --without-pip /opt/clientcert \
    && python3 -m pip --python /opt/clientcert/bin/python install --no-compile --require-hashes \
        --only-binary :all: --requirement "requirements/$LOCK" \
    # setuptools builds the package; its hashes are in the lock of the development tools.
    && awk '/^[^ ]/ {wanted = /^setuptools==/} wanted' requirements/dev.lock > /tmp/build.lock \
    && python3 -m venv --without-pip /tmp/build \
    && python3 -m pip --python /tmp/build/bin/python install --require-hashes --requirement /tmp/build.lock

COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
COPY tools/image/ tools/image/
RUN python3 -m pip --python /tmp/build/bin/python wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheels . \
    && python3 -m pip --python /opt/clientcert/bin/python install --no-compile --no-deps --no-index /tmp/wheels/*.whl \
    && python3 -m tools.image.root --environment /opt/clientcert --root /image

FROM scratch
COPY --from=build /image /
# Nothing is written at run time, so the root file system may be read-only.
ENV PATH="/opt/clientcert/bin" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 LANG=C.UTF-8
USER 65532:65532
# A library that is missing ends the build.
RUN ["clientcert", "run", "--help"]
RUN ["python", "-c", "import clientcert.app"]
ARG BASE
ARG BASE_NAME="$BASE"
ARG BASE_DIGEST=""
ARG VERSION=0.1.0
ARG REVISION=""
ARG SOURCE=""
LABEL org.opencontainers.image.title="clientcert-operator" \
      org.opencontainers.image.description="A Kubernetes operator for mTLS client certificates that were handed to consumers outside the cluster" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.source="$SOURCE" \
      org.opencontainers.image.base.name="$BASE_NAME" \
      org.opencontainers.image.base.digest="$BASE_DIGEST"
EXPOSE 8080
ENTRYPOINT ["clientcert"]
CMD ["run"]

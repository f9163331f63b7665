# The operator's image. All packages come from the locks, with hashes; build tools are not in the image.
#   docker build -t clientcert-operator:0.1.0 .
#   docker build -t clientcert-operator:0.1.0-apprise --build-arg LOCK=apprise.lock .    # with channels of type Apprise
FROM python:3.13-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
ARG LOCK=run.lock
WORKDIR /src

COPY requirements/ requirements/
RUN python -m venv /opt/clientcert \
    && /opt/clientcert/bin/python -m pip install --require-hashes --requirement "requirements/$LOCK" \
    # setuptools builds the package; its hashes are in the lock of the development tools.
    && awk '/^[^ ]/ {wanted = /^setuptools==/} wanted' requirements/dev.lock > /tmp/build.lock \
    && python -m pip install --require-hashes --requirement /tmp/build.lock

COPY pyproject.toml README.md LICENSE ./
COPY operator/ operator/
RUN python -m pip wheel --no-deps --no-build-isolation --wheel-dir /tmp/wheels . \
    && /opt/clientcert/bin/python -m pip install --no-deps --no-index /tmp/wheels/*.whl \
    && /opt/clientcert/bin/python -m pip uninstall --yes pip

FROM python:3.13-slim
COPY --from=build /opt/clientcert /opt/clientcert
# Nothing is written at run time, so the root file system may be read-only.
ENV PATH="/opt/clientcert/bin:$PATH" PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["clientcert"]
CMD ["run"]

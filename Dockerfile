# Generated from tools/image/operator-config.ts by `npm run generate`. Edits are overwritten.
#
#   docker build --build-arg REVISION=$(git rev-parse HEAD) --tag proffer .
#
# The same files and the same configuration as `make image` has, which needs no daemon and gives the same digest each time.
FROM node:24-bookworm AS build
WORKDIR /src
COPY . .
RUN npm install --no-save --no-audit --no-fund --loglevel=error
RUN npm run image -- rootfs operator /rootfs

FROM scratch
ARG REVISION=unknown
COPY --from=build /rootfs/ /
ENV PATH="/usr/bin"
ENV NODE_ENV="production"
LABEL org.opencontainers.image.title="proffer"
LABEL org.opencontainers.image.description="Two-level scheduling for Kubernetes: offers, answers, bound pods"
LABEL org.opencontainers.image.version="0.1.0"
LABEL org.opencontainers.image.revision="$REVISION"
LABEL org.opencontainers.image.licenses="Apache-2.0"
EXPOSE 8080/tcp
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/usr/bin/node","--max-semi-space-size=8","--initial-heap-size=128","/usr/lib/proffer/proffer.mjs"]

# npm, and what native modules are compiled with. Debian's npm would bring 400 MB with it, so
# this is npm's own release.
ARG PARENT
FROM ${PARENT}
USER root
ARG NPM=10.9.9
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      build-essential libnode-dev pkg-config \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
 && mkdir /usr/local/lib/npm \
 && curl -fsSL --retry 3 -o /tmp/npm.tgz https://registry.npmjs.org/npm/-/npm-$NPM.tgz \
 && echo "d60fba8cb42f688b81e33c2f1cbef2ad7b977166700ec0ad057f1b6d60ea6ef2524abf673e20c35931cd8305d1dbb8887134d6eefdc0e7b8435bd458bf65b862  /tmp/npm.tgz" | sha512sum -c --quiet - \
 && tar -xzf /tmp/npm.tgz -C /usr/local/lib/npm --strip-components=1 && rm /tmp/npm.tgz \
 && ln -s ../lib/npm/bin/npm-cli.js /usr/local/bin/npm && ln -s ../lib/npm/bin/npx-cli.js /usr/local/bin/npx
USER dotcloud
ENTRYPOINT ["/usr/lib/dotcloud/build"]

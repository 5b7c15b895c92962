# Compilers, headers and installers: PECL's for extensions, PEAR's and Composer for PHP code.
ARG PARENT
FROM ${PARENT}
USER root
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      php8.4-dev php-pear composer build-essential pkg-config \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
 && chown dotcloud "$(php-config --extension-dir)"
USER dotcloud
ENTRYPOINT ["/usr/lib/dotcloud/build"]

ARG PARENT
FROM ${PARENT}
USER root
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      build-essential pkg-config autoconf automake libtool bzip2 python3-dev python3-venv \
      libncurses-dev libreadline-dev libffi-dev libpcre2-dev libssl-dev zlib1g-dev \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
USER dotcloud
ENTRYPOINT ["/usr/lib/dotcloud/build"]

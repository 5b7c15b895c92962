# Compilers and headers, and an empty virtualenv where each build begins.
ARG PARENT
FROM ${PARENT}
USER root
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      python3-venv python3-dev build-essential pkg-config \
      libpq-dev libmariadb-dev libxml2-dev libxslt1-dev libjpeg62-turbo-dev libffi-dev libssl-dev libyaml-dev \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
 && su dotcloud -c 'python3 -m venv /home/dotcloud/env'
USER dotcloud
ENTRYPOINT ["/usr/lib/dotcloud/build"]

# A fabric in a container: docker build -t lispfabric . && docker run --rm -it lispfabric
# With network namespaces or Mininet inside, or packets from the host's interfaces: docker run --privileged.
FROM python:3.11-slim

RUN apt-get update \
    && apt-get install -y --no-install-recommends iproute2 ethtool iputils-ping tshark \
    && rm -rf /var/lib/apt/lists/*

COPY . /usr/src/lispfabric
RUN pip install --no-cache-dir /usr/src/lispfabric && rm -rf /usr/src/lispfabric \
    && useradd --create-home lispfabric

# LISP control messages, P4Runtime.
EXPOSE 4342/udp 9559/tcp

USER lispfabric
WORKDIR /home/lispfabric
ENTRYPOINT ["lispfabric"]
CMD ["run", "figure1"]

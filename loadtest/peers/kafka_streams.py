"""Kafka Streams, in Java: `java/wurao/peers/Streams.java` says what it does and how it is tuned."""

from loadtest.peers.java_process import become

if __name__ == "__main__":
    become("Streams")

"""A plain loop of Kafka's own clients, in Java: `java/wurao/peers/Loop.java` says what it does and how it is tuned."""

from loadtest.peers.java_process import become

if __name__ == "__main__":
    become("Loop")

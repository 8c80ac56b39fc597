# What systemd is to a service: a datagram socket. Prints each notice as a line of JSON.
import json, socket, sys

listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1])
print("listening", flush=True)
while True:
    # File descriptors that come along, as systemd-notify's barrier does, are closed by not being taken.
    notice = listener.recv(65536).decode()
    print(json.dumps(notice.strip().split("\n")), flush=True)

// Runs a tracker of WebTorrent, which passes descriptions over WebSockets, at port 8000.
import Server from "@peertube/bittorrent-tracker-server";

// Peers tell of themselves again after a fifth of the interval: one that came first is told to others only then.
const server = new Server({http: false, udp: false, ws: true, stats: false, interval: 5000});
server.on("error", error => { throw error; });
server.on("warning", error => console.error(error.message));
server.listen(8000, "127.0.0.1");

// Runs a tracker of WebTorrent, which passes descriptions over WebSockets, at port 8000.
import Server from "@peertube/bittorrent-tracker-server";

const server = new Server({http: false, udp: false, ws: true, stats: false});
server.on("error", error => { throw error; });
server.on("warning", error => console.error(error.message));
server.listen(8000, "127.0.0.1");

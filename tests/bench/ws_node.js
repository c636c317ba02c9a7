// ws_node.js: a WebSocket server on node's ws. /ws: a message comes back. /broadcast: it goes to all of /broadcast.
'use strict';
const { WebSocketServer } = require('ws');

const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 4096 });
const all = new Set();

server.on('connection', (socket, request) => {
    if (request.url === '/broadcast') {
        all.add(socket);
        socket.on('close', () => all.delete(socket));
        socket.on('message', (data, binary) => {
            for (const each of all)
                each.send(data, { binary });
        });
    } else {
        socket.on('message', (data, binary) => socket.send(data, { binary }));
    }
    socket.on('error', () => {});
});
server.on('listening', () => console.log(`listening on 127.0.0.1:${server.address().port}`));

/* permessage-deflate of node's ws, against build/tests/conformance_server and build/tests/ws_echo_client.
 *
 *     node ws_deflate.js client PORT
 *     node ws_deflate.js server PROGRAM */
'use strict';
const assert = require('assert');
const { spawn } = require('child_process');
const crypto = require('crypto');
const { once } = require('events');
const WebSocket = require('ws');

const patience = 10000;

/* Compresses as texts do. */
function text(size) {
    let words = '';
    while (words.length < size)
        words += ['alpha', 'beta', 'gamma', 'delta', 'epsilon', 'zeta', '\u00e4'][crypto.randomInt(7)] + ' ';
    return words.slice(0, size);
}

const messages = [0, 1, 63, 64, 65, 500, 5000, 65536, 1 << 20].map(text)
    .concat([0, 1, 64, 1000, 65536, 200000].map(size => crypto.randomBytes(size)), Buffer.alloc(1 << 20), '\u20ac'.repeat(100000),
        [...Array(300)].map(() => text(120)));

function soon(promise, what) {
    const late = new Error('nothing comes: ' + what);
    let timer;
    const clock = new Promise((_, reject) => { timer = setTimeout(() => reject(late), patience); });
    return Promise.race([promise, clock]).finally(() => clearTimeout(timer));
}

/* All are sent at once, some in fragments. */
async function echoes(socket) {
    let next = 0;
    const all = new Promise((resolve, reject) => {
        socket.on('message', (data, isBinary) => {
            const wanted = messages[next];
            if (isBinary ? !Buffer.isBuffer(wanted) || !wanted.equals(data) : wanted !== data.toString())
                reject(new Error(`message ${next} came as ${data.toString().slice(0, 60)}`));
            else if (++next === messages.length)
                resolve();
        });
        socket.on('close', code => reject(new Error(`closed ${code} behind ${next} messages`)));
        socket.on('error', reject);
    });
    messages.forEach((message, i) => {
        if (i % 3 === 1)
            [message.slice(0, 10), message.slice(10)].forEach((part, j) => socket.send(part, { fin: j === 1, binary: Buffer.isBuffer(message) }));
        else
            socket.send(message);
        if (i % 10 === 0)
            socket.ping('ping');
    });
    await soon(all, 'all messages');
}

const terms = [true, { threshold: 0, serverNoContextTakeover: true, clientNoContextTakeover: true }, { threshold: 0, serverNoContextTakeover: true },
               { threshold: 0, clientNoContextTakeover: true }, { threshold: 0, serverMaxWindowBits: 9, clientMaxWindowBits: 9 }];

async function client(port) {
    for (const path of ['/ws-deflate', '/ws-deflate/anew']) {
        for (const perMessageDeflate of terms) {
            const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate });
            await soon(once(socket, 'open'), 'open');
            assert.match(socket.extensions, /permessage-deflate/);
            await echoes(socket);
            socket.close();
        }
    }
}

async function server(program) {
    for (const perMessageDeflate of terms) {
        const listening = new WebSocket.Server({ port: 0, host: '127.0.0.1', maxPayload: 1 << 26, perMessageDeflate });
        await once(listening, 'listening');
        for (const option of ['--compress', '--compress-anew']) {
            const child = spawn(program, [option, `ws://127.0.0.1:${listening.address().port}/`], { stdio: ['ignore', 'pipe', 'ignore'] });
            let output = '';
            child.stdout.on('data', data => { output += data; });
            const ended = once(child, 'close');
            try {
                const [socket] = await soon(once(listening, 'connection'), 'the client');
                await echoes(socket);
                socket.close(1000, 'enough');
                const [status] = await soon(ended, 'its end');
                assert.deepStrictEqual([status, output], [0, 'compressed\nclosed 1000 enough\n']);
            } finally {
                child.kill('SIGKILL');
            }
        }
        listening.close();
    }
}

({ client, server })[process.argv[2]](process.argv[3]).then(() => process.exit(0), error => {
    console.error(error);
    process.exit(1);
});

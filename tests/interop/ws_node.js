/* node's ws: its client and build/tests/conformance_server /ws, its server and build/tests/ws_echo_client.
 *
 *     node ws_node.js client PORT PID    PID: is sent SIGTERM at the end
 *     node ws_node.js server PROGRAM */
'use strict';
const assert = require('assert');
const { spawn } = require('child_process');
const crypto = require('crypto');
const { once } = require('events');
const WebSocket = require('ws');

const patience = 10000;
const sizes = [0, 1, 125, 126, 127, 65535, 65536, 1 << 20];
const texts = ['', 'Hello', '\u00e4\u20ac\u{1f600}', 'a\0b', '\ufeff', 'x'.repeat(100000), '\u20ac'.repeat(50000)];
const pause = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));

function soon(promise, what) {
    const late = new Error('nothing comes: ' + what);
    let timer;
    const clock = new Promise((_, reject) => { timer = setTimeout(() => reject(late), patience); });
    return Promise.race([promise, clock]).finally(() => clearTimeout(timer));
}

/* What comes waits in a queue until somebody asks for it. */
class Peer {
    constructor(socket) {
        this.socket = socket;
        this.queue = [];
        this.waiting = null;
        const put = each => { this.waiting ? this.waiting(each) : this.queue.push(each); this.waiting = null; };
        socket.on('message', (data, isBinary) => put(isBinary ? data : data.toString()));
        socket.on('pong', data => put(['pong', data.toString()]));
        socket.on('close', (code, reason) => put(['close', code, reason.toString()]));
        socket.on('error', () => {});
    }
    next(what) {
        if (this.queue.length)
            return Promise.resolve(this.queue.shift());
        return soon(new Promise(resolve => { this.waiting = resolve; }), what);
    }
    async expect(wanted) {
        const got = await this.next(String(wanted).slice(0, 50));
        const isSame = Buffer.isBuffer(wanted) ? Buffer.isBuffer(got) && got.equals(wanted)
                                               : JSON.stringify(got) === JSON.stringify(wanted);
        assert.ok(isSame, `${String(got).slice(0, 60)} instead of ${String(wanted).slice(0, 60)}`);
    }
    async echoes(message) {
        this.socket.send(message);
        await this.expect(message);
    }
}

async function allMessages(peer) {
    for (const size of sizes) {
        await peer.echoes(crypto.randomBytes(size));
        await peer.echoes('z'.repeat(size));
    }
    for (const text of texts)
        await peer.echoes(text);
    for (let i = 0; i < 1000; i++)
        peer.socket.send(i + ' ', { fin: i === 999 });
    await peer.expect([...Array(1000).keys()].map(i => i + ' ').join(''));
    peer.socket.ping('p'.repeat(125));
    await peer.expect(['pong', 'p'.repeat(125)]);
    for (const [count, size] of [[1000, 64], [1000, 16384], [20, 1 << 20]]) {
        for (let i = 0; i < count; i++)
            peer.socket.send((i + ' ').padEnd(size, '*'));
        for (let i = 0; i < count; i++)
            await peer.expect((i + ' ').padEnd(size, '*'));
    }
}

async function connect(url, ...how) {
    const peer = new Peer(new WebSocket(url, ...how));
    await soon(once(peer.socket, 'open'), 'open');
    return peer;
}

async function statusOf(url, how) {
    const socket = new WebSocket(url, how);
    socket.on('error', () => {});
    const [request, response] = await soon(once(socket, 'unexpected-response'), url);
    request.destroy();
    return response.statusCode;
}

async function client(port, pid) {
    const url = `ws://127.0.0.1:${port}/ws`;
    for (const perMessageDeflate of [false, true]) {
        const peer = await connect(url, { perMessageDeflate });
        await allMessages(peer);
        peer.socket.close(1000, 'enough');
        await peer.expect(['close', 1000, '']);
    }
    for (const [code, reason] of [[1000, ''], [1001, 'going'], [3000, '\u00e4'.repeat(61)], [4999, 'z'.repeat(123)]]) {
        const peer = await connect(url);
        peer.socket.close(code, reason);
        await peer.expect(['close', code, '']);
    }
    let peer = await connect(url);
    peer.socket.close();
    await peer.expect(['close', 1005, '']);
    await assert.rejects(connect(url, ['one', 'two']), /no subprotocol/); // none is spoken here
    peer = await connect(url);
    await peer.echoes(Buffer.alloc(16 << 20, 'x'));
    peer.socket.send(Buffer.alloc((16 << 20) + 1, 'x'));
    assert.strictEqual((await peer.next('1009'))[1], 1009);
    assert.strictEqual(await statusOf(`ws://127.0.0.1:${port}/nothing`), 404);
    assert.strictEqual(await statusOf(url, { origin: 'http://evil' }), 403);
    assert.strictEqual(await statusOf(url, { protocolVersion: 8 }), 426);
    peer = await connect(url); // ours: the interval is 0.3 s
    let pings = 0;
    peer.socket.on('ping', () => pings++);
    await pause(1200);
    await peer.echoes('still here');
    assert.ok(pings >= 1 && pings <= 4, `${pings} pings`);
    const peers = await Promise.all([...Array(10)].map(() => connect(url)));
    process.kill(pid, 'SIGTERM');
    for (const each of [...peers, peer])
        assert.strictEqual((await each.next('1001'))[1], 1001);
}

const scenes = {
    '/messages': async peer => {
        await allMessages(peer);
        peer.socket.close(1000, 'enough');
        await peer.expect(['close', 1000, '']);
    },
    '/code': async peer => {
        peer.socket.close(4321, '\u00e4'.repeat(61));
        await peer.expect(['close', 4321, '']);
    },
    '/nothing': async peer => {
        peer.socket.close();
        await peer.expect(['close', 1005, '']);
    },
    '/gone': async peer => {
        await peer.echoes('last words');
        peer.socket.terminate();
    },
};
const wanted = { '/messages': [0, 'closed 1000 enough'], '/code': [0, 'closed 4321 ' + '\u00e4'.repeat(61)],
                 '/nothing': [0, 'closed 1005 '], '/gone': [1, 'closed 1006 '], '/refused': [1, 'closed 1006 '] };

async function server(program) {
    const listening = new WebSocket.Server({ port: 0, host: '127.0.0.1', maxPayload: 1 << 26, perMessageDeflate: true,
                                             verifyClient: info => info.req.url in scenes });
    await once(listening, 'listening');
    for (const [path, [status, line]] of Object.entries(wanted)) {
        const url = `ws://127.0.0.1:${listening.address().port}${path}`;
        const child = spawn(program, [url], { stdio: ['ignore', 'pipe', 'ignore'] });
        let output = '';
        child.stdout.on('data', data => { output += data; });
        const ended = once(child, 'close');
        try {
            if (path in scenes) {
                const [socket] = await soon(once(listening, 'connection'), path);
                await scenes[path](new Peer(socket));
            }
            const [got] = await soon(ended, 'the end of ' + path);
            assert.deepStrictEqual([got, output], [status, line + '\n'], path);
        } finally {
            child.kill('SIGKILL');
        }
    }
    listening.close();
}

({ client, server })[process.argv[2]](...process.argv.slice(3)).then(() => process.exit(0), error => {
    console.error(error);
    process.exit(1);
});

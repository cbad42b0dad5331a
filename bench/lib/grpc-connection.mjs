// One client of etcd's KV service in a closed loop, over gRPC written by hand on a plain socket: HTTP/2 frames whose
// headers never change, protobuf messages of two fields. As light as the RESP client beside it, so that both servers
// meet the same generator. Answers are told apart by their shape: data and then trailers is a result, trailers alone an error.
import { connect } from "node:net";
import { KEY_BYTES } from "./resp-connection.mjs";

const DATA = 0;
const HEADERS = 1;
const SETTINGS = 4;
const PING = 6;
const GOAWAY = 7;
const WINDOW_UPDATE = 8;
const END_STREAM = 1;
const ACK = 1;
const END_HEADERS = 4;
const FRAME_HEADER_BYTES = 9;

function frame(type, flags, stream, payload) {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** HPACK literals without indexing and without Huffman coding; texts are shorter than 127 bytes. */
function literal(name, value) {
  return Buffer.from(
    `\u0000${String.fromCharCode(name.length)}${name}${String.fromCharCode(value.length)}${value}`,
    "latin1",
  );
}

function requestHeaders(path) {
  const fields = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "127.0.0.1"],
    ["content-type", "application/grpc"],
    ["te", "trailers"],
  ];
  return Buffer.concat(fields.map(([name, value]) => literal(name, value)));
}

function varint(value) {
  const bytes = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    if (rest < 128) return Buffer.from([...bytes, rest]);
    bytes.push((rest % 128) + 128);
  }
}

function bytesField(number, bytes) {
  return Buffer.concat([Buffer.from([number * 8 + 2]), varint(bytes.length), bytes]);
}

/** A whole call: HEADERS and DATA. */
function callTemplate(path, message) {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const headers = frame(HEADERS, END_HEADERS, 0, requestHeaders(path));
  const bytes = Buffer.concat([headers, frame(DATA, END_STREAM, 0, Buffer.concat([prefix, message]))]);
  return { bytes, streamAt: [5, headers.length + 5] };
}

export class GrpcConnection {
  #socket;
  #put;
  #range;
  #putKeyAt;
  #putValueAt;
  #rangeKeyAt;
  #stream = 1;
  #done = null;
  #answerBytes = 0;
  #wantedBytes = 0;
  #pending = Buffer.alloc(0);
  #valueBytes;

  constructor(value) {
    const key = Buffer.from("k".repeat(KEY_BYTES));
    const valueBuffer = Buffer.from(value);
    this.#valueBytes = valueBuffer.length;
    this.#put = callTemplate("/etcdserverpb.KV/Put", Buffer.concat([bytesField(1, key), bytesField(2, valueBuffer)]));
    this.#range = callTemplate("/etcdserverpb.KV/Range", bytesField(1, key));
    this.#putKeyAt = this.#put.bytes.indexOf(key);
    this.#putValueAt = this.#put.bytes.indexOf(valueBuffer);
    this.#rangeKeyAt = this.#range.bytes.indexOf(key);
  }

  open(port) {
    return new Promise((resolve, reject) => {
      this.#socket = connect({ port, host: "127.0.0.1", noDelay: true }, () => {
        const window = Buffer.alloc(4);
        window.writeUInt32BE(0x7fff0000 - 65_535);
        this.#socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        this.#socket.write(frame(SETTINGS, 0, 0, Buffer.alloc(0)));
        this.#socket.write(frame(WINDOW_UPDATE, 0, 0, window));
        resolve();
      });
      this.#socket.on("error", (error) => {
        reject(error);
        this.#finish(false);
      });
      this.#socket.on("close", () => this.#finish(false));
      this.#socket.on("data", (chunk) => this.#receive(chunk));
    });
  }

  set(key, serial, done) {
    this.#put.bytes.latin1Write(key, this.#putKeyAt, KEY_BYTES);
    this.#put.bytes.latin1Write(serial, this.#putValueAt, 8);
    this.#wantedBytes = 5;
    this.#call(this.#put, done);
  }

  /** A linearizable range of one key: etcd's default. */
  get(key, done) {
    this.#range.bytes.latin1Write(key, this.#rangeKeyAt, KEY_BYTES);
    this.#wantedBytes = this.#valueBytes;
    this.#call(this.#range, done);
  }

  close() {
    this.#socket.destroy();
  }

  #call(template, done) {
    this.#done = done;
    this.#answerBytes = 0;
    for (const at of template.streamAt) template.bytes.writeUInt32BE(this.#stream, at);
    this.#stream += 2;
    this.#socket.write(template.bytes);
  }

  #receive(chunk) {
    let bytes = this.#pending.length > 0 ? Buffer.concat([this.#pending, chunk]) : chunk;
    while (bytes.length >= FRAME_HEADER_BYTES) {
      const length = bytes.readUIntBE(0, 3);
      const end = FRAME_HEADER_BYTES + length;
      if (bytes.length < end) break;
      this.#frame(bytes[3], bytes[4], bytes.subarray(FRAME_HEADER_BYTES, end));
      bytes = bytes.subarray(end);
    }
    this.#pending = bytes;
  }

  #frame(type, flags, payload) {
    if (type === DATA) this.#answerBytes += payload.length;
    if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) {
      this.#finish(this.#answerBytes >= this.#wantedBytes);
    } else if (type === SETTINGS && (flags & ACK) === 0) {
      this.#socket.write(frame(SETTINGS, ACK, 0, Buffer.alloc(0)));
    } else if (type === PING && (flags & ACK) === 0) {
      this.#socket.write(frame(PING, ACK, 0, payload));
    } else if (type === GOAWAY) {
      this.#socket.destroy();
    }
  }

  #finish(ok) {
    const done = this.#done;
    this.#done = null;
    if (done !== null) done(ok);
  }
}

// One client of a RESP server in a closed loop: one command on its way, its reply read with as little work as possible,
// so that the generator is not what is measured. Commands are templates of which key and value digits are overwritten.
import { connect } from "node:net";
import { connect as connectTls } from "node:tls";

export const KEY_BYTES = 12;

function bulk(text) {
  return `$${Buffer.byteLength(text)}\r\n${text}\r\n`;
}

export class RespConnection {
  #socket;
  #set;
  #get;
  #setKeyAt;
  #setValueAt;
  #getKeyAt;
  #done = null;
  #read = false;
  #need = 0;
  #have = 0;
  #head = "";

  /** `value` is a text of the right size; its first eight bytes change with every write. */
  constructor(value) {
    const key = "k".repeat(KEY_BYTES);
    const set = `*3\r\n${bulk("SET")}${bulk(key)}${bulk(value)}`;
    const get = `*2\r\n${bulk("GET")}${bulk(key)}`;
    this.#set = Buffer.from(set, "latin1");
    this.#get = Buffer.from(get, "latin1");
    this.#setKeyAt = set.indexOf(key);
    this.#setValueAt = set.indexOf(value);
    this.#getKeyAt = get.indexOf(key);
  }

  /** `ca`: of the server's certificate; null = plain TCP. */
  open(port, ca = null) {
    return new Promise((resolve, reject) => {
      const where = { port, host: "127.0.0.1", noDelay: true };
      this.#socket = ca === null ? connect(where, resolve) : connectTls({ ...where, ca }, resolve);
      this.#socket.on("error", (error) => {
        reject(error);
        this.#finish(false);
      });
      this.#socket.on("close", () => this.#finish(false));
      this.#socket.on("data", (chunk) => this.#receive(chunk));
    });
  }

  /** `done(ok)` is called once. A read of a key that is not there is not ok. */
  set(key, serial, done) {
    this.#done = done;
    this.#read = false;
    this.#set.latin1Write(key, this.#setKeyAt, KEY_BYTES);
    this.#set.latin1Write(serial, this.#setValueAt, 8);
    this.#socket.write(this.#set);
  }

  get(key, done) {
    this.#done = done;
    this.#read = true;
    this.#get.latin1Write(key, this.#getKeyAt, KEY_BYTES);
    this.#socket.write(this.#get);
  }

  close() {
    this.#socket.destroy();
  }

  #receive(chunk) {
    if (this.#need > 0) {
      this.#have += chunk.length;
      if (this.#have >= this.#need) this.#end(true);
      return;
    }
    const end = chunk.indexOf(13);
    if (this.#head === "" && chunk[0] !== 0x24) {
      if (chunk.at(-1) === 10) this.#end(chunk[0] === 0x2b);
      else this.#head = chunk.toString("latin1");
      return;
    }
    if (this.#head !== "" || end < 0) {
      // A reply in pieces; rare.
      const whole = Buffer.from(this.#head + chunk.toString("latin1"), "latin1");
      this.#head = "";
      if (whole.indexOf(10) < 0) this.#head = whole.toString("latin1");
      else this.#receive(whole);
      return;
    }
    const length = Number(chunk.latin1Slice(1, end));
    if (length < 0) return this.#end(!this.#read);
    this.#need = end + 2 + length + 2;
    this.#have = chunk.length;
    if (this.#have >= this.#need) this.#end(true);
  }

  #end(ok) {
    this.#need = 0;
    this.#have = 0;
    this.#finish(ok);
  }

  #finish(ok) {
    const done = this.#done;
    this.#done = null;
    if (done !== null) done(ok);
  }
}

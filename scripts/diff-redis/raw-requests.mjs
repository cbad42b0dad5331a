// Requests as bytes: inline commands with their quotes, lengths and counts that are none, and requests cut short.

const INLINE = [
  "PING",
  "ping  hello ",
  "\tECHO\tx",
  'ECHO "a b"',
  "ECHO 'a b'",
  'ECHO "\\x41\\n\\\\\\""',
  "ECHO 'it\\'s'",
  "ECHO 'a\\n'",
  'ECHO ""',
  "ECHO ''",
  "",
  " ",
  "\r",
  'ECHO "open',
  "ECHO 'open",
  'ECHO "a"b',
  "ECHO 'a'b",
  'ECHO a"b"',
  'ECHO "\\xzz"',
  "NOPE a b",
  "GET",
  'ECHO "\\a\\b\\t\\r\\q"',
];
const COUNTS = [
  "0",
  "-1",
  "-10",
  "1",
  "2",
  "1048577",
  "99999999999999999999",
  "abc",
  "",
  " 1",
  "1 ",
  "+1",
  "01",
  "1.5",
  "-",
  "2147483648",
];
const LENGTHS = ["0", "4", "-1", "abc", "", "+4", "04", " 4", "99999999999999999999", "536870913", "4 ", "-0"];
const FIRST = ["$", "x", "*", ":", "\r"];

export function rawRequest(random) {
  switch (random.below(5)) {
    case 0:
    case 1:
      return latin1(random.pick(INLINE) + random.pick(["\r\n", "\n"]));
    case 2:
      return latin1(`*${random.pick(COUNTS)}\r\n`);
    case 3:
      return latin1(`*1\r\n$${random.pick(LENGTHS)}\r\nPING\r\n`);
    default:
      return latin1(`*1\r\n${random.pick(FIRST)}4\r\nPING\r\n`);
  }
}

function latin1(text) {
  return Buffer.from(text, "latin1");
}

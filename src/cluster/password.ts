/**
 * Passwords as a configuration holds them: never themselves, only what scrypt makes of them, with its parameters and a salt
 * of their own. `scrypt$N$r$p$salt$hash`, salt and hash in base64. Checking takes tens of milliseconds on a thread of
 * libuv's pool, on purpose; how many at once is the caller's affair.
 */
import { randomBytes, scrypt, timingSafeEqual } from "node:crypto";

export interface PasswordHash {
  readonly cost: number;
  readonly blockSize: number;
  readonly parallelization: number;
  readonly salt: Buffer;
  readonly hash: Buffer;
}

const COST = 16_384;
const BLOCK_SIZE = 8;
const PARALLELIZATION = 1;
const SALT_BYTES = 16;
const HASH_BYTES = 32;
/** More memory than this is refused: a configuration is not to bring a node down. */
const MOST_MEMORY_BYTES = 256 * 2 ** 20;

/** Null: the text is no such hash, or one that takes more than 256 MiB to check. */
export function parsePasswordHash(text: string): PasswordHash | null {
  const parts = /^scrypt\$(\d{1,7})\$(\d{1,3})\$(\d{1,3})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})$/.exec(text);
  if (parts === null) return null;
  const [cost, blockSize, parallelization] = [parts[1], parts[2], parts[3]].map(Number);
  const [salt, hash] = [parts[4], parts[5]].map((part) => Buffer.from(part ?? "", "base64"));
  if (cost === undefined || blockSize === undefined || parallelization === undefined) return null;
  if (salt === undefined || hash === undefined || salt.length < 8 || hash.length < 16) return null;
  const isPowerOfTwo = cost >= 1024 && (cost & (cost - 1)) === 0;
  if (!isPowerOfTwo || blockSize < 1 || parallelization < 1 || parallelization > 16) return null;
  if (memoryOf(cost, blockSize, parallelization) > MOST_MEMORY_BYTES) return null;
  return { cost, blockSize, parallelization, salt, hash };
}

function memoryOf(cost: number, blockSize: number, parallelization: number): number {
  return 128 * blockSize * (cost + parallelization + 2);
}

function derive(password: string, { cost, blockSize, parallelization, salt, hash }: PasswordHash): Promise<Buffer> {
  const maxmem = 2 * memoryOf(cost, blockSize, parallelization);
  return new Promise((resolve, reject) => {
    scrypt(password, salt, hash.length, { cost, blockSize, parallelization, maxmem }, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** Whether it is the password that the hash was made of. */
export async function verifyPassword(password: string, expected: PasswordHash): Promise<boolean> {
  return timingSafeEqual(await derive(password, expected), expected.hash);
}

/** The text for a configuration. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(SALT_BYTES);
  const made = { cost: COST, blockSize: BLOCK_SIZE, parallelization: PARALLELIZATION, salt };
  const hash = await derive(password, { ...made, hash: Buffer.alloc(HASH_BYTES) });
  const numbers = [COST, BLOCK_SIZE, PARALLELIZATION].map(String);
  return ["scrypt", ...numbers, salt.toString("base64"), hash.toString("base64")].join("$");
}

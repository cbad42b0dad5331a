// A to-do list that survives power loss: the storage engine alone, without a cluster. What to look at: one atomic batch
// that writes an item and the counter together, entries in no order that means anything, and errors told by their code.
// Run: node examples/storage/todo.mjs DIRECTORY add buy milk | done 1 | list
import { openStore, StoreError } from "plogdb/storage";

const [directory, command, ...words] = process.argv.slice(2);

const commands = {
  async add(store) {
    const number = Number(Buffer.from((await store.get("count")) ?? "0")) + 1;
    // Both or neither, whatever happens in between: no number is ever given twice.
    await store.batch([
      { type: "put", key: "count", value: String(number) },
      { type: "put", key: `item:${number}`, value: words.join(" ") },
    ]);
    console.log(`${number}. ${words.join(" ")}`);
  },

  async done(store) {
    const key = `item:${words[0]}`;
    if (!store.has(key)) throw new RangeError(`there is no item ${words[0]}`);
    await store.delete(key);
  },

  async list(store) {
    const items = [];
    for await (const { key, value } of store) {
      const name = Buffer.from(key).toString();
      if (name.startsWith("item:"))
        items.push([Number(name.slice(5)), value === null ? "(broken)" : Buffer.from(value)]);
    }
    for (const [number, text] of items.sort(([a], [b]) => a - b)) console.log(`${number}. ${text}`);
  },
};

try {
  if (directory === undefined || !Object.hasOwn(commands, command)) throw new RangeError("DIRECTORY add|done|list ...");
  const store = await openStore({ path: directory, size: "16MiB" });
  await commands[command](store).finally(() => store.close());
} catch (error) {
  if (!(error instanceof StoreError || error instanceof RangeError)) throw error;
  console.error(error instanceof StoreError ? `${error.code}: ${error.message}` : error.message);
  process.exitCode = 1;
}

// One job of a load process: a file of this directory that is told what to do by one message.
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";

/** Resolves with the job's result; `onEvent` hears when the measured time begins ("measuring") and ends ("measured"). */
export function runJob(file, job, onEvent = () => {}) {
  return new Promise((resolve, reject) => {
    const child = fork(fileURLToPath(new URL(file, import.meta.url)));
    child.on("error", reject);
    child.on("exit", (code) => reject(new Error(`the load process ended with ${code}`)));
    child.on("message", (message) => {
      if (message.event === "done") resolve(message.result);
      else if (message.event === "failed") reject(new Error(message.message));
      else onEvent(message.event);
    });
    child.send(job);
  });
}

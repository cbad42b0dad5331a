/** Something that is done once, however often it is asked for; everybody is told when it is over. */
export class Once {
  readonly #act: (done: () => void) => void;
  #state: "not-begun" | "under-way" | "over" = "not-begun";
  #waiting: (() => void)[] = [];

  constructor(act: (done: () => void) => void) {
    this.#act = act;
  }

  run(done: () => void): void {
    if (this.#state === "over") {
      done();
      return;
    }
    this.#waiting.push(done);
    if (this.#state === "under-way") return;
    this.#state = "under-way";
    this.#act(() => {
      this.#state = "over";
      for (const tell of this.#waiting.splice(0)) tell();
    });
  }
}

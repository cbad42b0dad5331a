/** Stories for broken variants that neither walks nor searches reach: what they break lies many indexes apart. */
import { Violation } from "./oracle.js";
import { Story } from "./story.js";
import type { Tamper } from "./world.js";

export const STORIES: Readonly<Record<string, (story: Story) => void>> = {
  window_ignored: (story) => {
    story.ask(1, { kind: "add", delta: "1" });
    story.deliver((message) => message.type === "submit");
    story.lose((_message, { to }) => to === 1);
    story.settle([1]); // applied, but its origin hears nothing
    for (let i = 0; i < 12; i++) {
      story.ask(0, { kind: "add", delta: "1" });
      story.settle([1]);
      story.pass(30, [1]);
    }
    story.pass(300);
  },
};

/** What the oracle says of the story; null: nothing. */
export function storyFails(tell: (story: Story) => void, tamper: Tamper): string | null {
  const story = new Story(3, 0, tamper);
  story.oracle.checksLeaving = false;
  try {
    tell(story);
    return null;
  } catch (error) {
    if (error instanceof Violation) return error.message;
    throw error;
  }
}

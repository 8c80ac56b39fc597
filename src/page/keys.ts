/** How far keys move what is moved in steps: as those of a slider, see the ARIA Authoring Practices. */

/** Of Page Up and Page Down. */
export const PAGE_STEPS = 10;

/** By the name of a key; infinite to the ends. Others move nothing. */
export const STEPS_OF_KEY: Readonly<Record<string, number>> = {
  ArrowLeft: -1,
  ArrowDown: -1,
  ArrowRight: 1,
  ArrowUp: 1,
  PageDown: -PAGE_STEPS,
  PageUp: PAGE_STEPS,
  Home: Number.NEGATIVE_INFINITY,
  End: Number.POSITIVE_INFINITY,
};

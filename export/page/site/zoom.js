/** Zoom and pan, the same for all pictures: by wheel, by pointer, and by keys. */

const FARTHEST = 1;
const NEAREST = 16;
const STEP = 1.25;
const FAR = 0.1;

/** A view that all pictures share. */
export class Zoom {
  /** @param {() => void} changed called after each change */
  constructor(changed) {
    this.scale = FARTHEST;
    /** Shift of a picture's center, in parts of its side. */
    this.x = 0;
    this.y = 0;
    this.changed = changed;
  }

  /** Whether a part of a picture is out of view, so that it can be moved. */
  get isZoomed() {
    return this.scale > FARTHEST;
  }

  /** @param {HTMLElement} frame an element that shows one picture and can have the focus */
  attach(frame) {
    frame.addEventListener("keydown", (event) => this.key(event));
    frame.addEventListener(
      "wheel",
      (event) => {
        // Without the key a page scrolls, also when the pointer is over a picture.
        if (event.ctrlKey || event.metaKey) {
          event.preventDefault();
          this.zoom(event.deltaY < 0 ? STEP : 1 / STEP);
        }
      },
      { passive: false },
    );
    frame.addEventListener("pointerdown", (event) => {
      if (this.isZoomed && event.isPrimary) {
        frame.setPointerCapture(event.pointerId);
      }
    });
    frame.addEventListener("pointermove", (event) => {
      if (frame.hasPointerCapture(event.pointerId)) {
        this.move(event.movementX / frame.clientWidth, event.movementY / frame.clientHeight);
      }
    });
  }

  /**
   * Do what a key stands for. Arrows scroll the page where there is nothing to move.
   * @param {KeyboardEvent} event
   */
  key(event) {
    /** @type {Record<string, () => void>} */
    const zooms = {
      "+": () => this.zoom(STEP),
      "=": () => this.zoom(STEP),
      "-": () => this.zoom(1 / STEP),
      0: () => this.reset(),
    };
    /** @type {Record<string, () => void>} */
    const moves = {
      ArrowLeft: () => this.move(FAR, 0),
      ArrowRight: () => this.move(-FAR, 0),
      ArrowUp: () => this.move(0, FAR),
      ArrowDown: () => this.move(0, -FAR),
    };
    const action = zooms[event.key] ?? (this.isZoomed ? moves[event.key] : undefined);
    if (action !== undefined && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      action();
    }
  }

  /** @param {number} factor */
  zoom(factor) {
    this.scale = Math.min(NEAREST, Math.max(FARTHEST, this.scale * factor));
    this.move(0, 0);
  }

  /**
   * Move the pictures by parts of a frame's sides.
   * @param {number} x
   * @param {number} y
   */
  move(x, y) {
    const most = (this.scale - 1) / 2;
    this.x = Math.min(most, Math.max(-most, this.x + x));
    this.y = Math.min(most, Math.max(-most, this.y + y));
    this.changed();
  }

  reset() {
    this.scale = FARTHEST;
    this.move(0, 0);
  }

  /** @param {HTMLElement} picture */
  apply(picture) {
    const { scale, x, y } = this;
    picture.style.transform = `translate(${x * 100}%, ${y * 100}%) scale(${scale})`;
    picture.style.imageRendering = scale > 2 ? "pixelated" : "auto";
  }
}

/** Networks: ONNX files that gave their certified numbers in this browser. */

import { loadPart } from "page/bytes.js";
import { hasWebGpu, loadRuntime } from "page/engine.js";
import { replay } from "page/golden.js";
import { resizeMap, resizePixels } from "page/resize.js";
import { counted, messageOf } from "page/text.js";

/** @typedef {import("page/engine.js").Engines} Engines */
/** @typedef {import("page/golden.js").Golden} Golden */

/**
 * A network as the page's maker describes it.
 * @typedef {object} Model
 * @property {string} name
 * @property {string} source address of the ONNX file, or the id of the element that holds it
 * @property {string} sha256 of the ONNX file
 * @property {number} bytes
 * @property {string} input name of the graph's input
 * @property {string} output name of the graph's output
 * @property {[number, number]} size (height, width) of the input
 * @property {[number, number]} view (height, width) of most training images
 * @property {Golden} golden
 * @property {[string, string][]} facts what its card says, label by label
 */

/**
 * A network that gave its certified numbers in this browser.
 * @typedef {object} Network
 * @property {Model} model
 * @property {string} engine "WebGPU" or "WebAssembly", with the number of threads
 * @property {string} note why a faster engine is not used; empty where it is
 * @property {number} largest difference to the golden probabilities
 * @property {(pixels: Uint8Array, size: [number, number]) => Promise<Prediction>} predict
 */

/**
 * @typedef {object} Prediction
 * @property {Float32Array} values probabilities [height, width] at the network's size
 * @property {number} milliseconds that the network took
 */

/**
 * Open a network on WebGPU if its golden pair passes there, else on WebAssembly.
 * @param {Model} model
 * @param {Engines} engines
 * @param {(text: string) => void} tell called with what is being done
 * @returns {Promise<Network>}
 * @throws {Error} with one sentence, where the file is damaged or gives other numbers here
 */
export async function openNetwork(model, engines, tell) {
  tell("Loading …");
  const content = await loadPart(model.source);
  await checkDigest(content, model);
  let note = "";
  if (engines.webgpu && (await hasWebGpu())) {
    try {
      tell("Checking the certified numbers on WebGPU …");
      return await openOn("webgpu", model, content, engines);
    } catch (error) {
      note = `WebGPU is not used: ${messageOf(error)}.`;
    }
  }
  tell("Checking the certified numbers …");
  return { ...(await openOn("wasm", model, content, engines)), note };
}

/**
 * @param {Uint8Array<ArrayBuffer>} content
 * @param {Model} model
 */
async function checkDigest(content, model) {
  // Only pages from secure origins (HTTPS, localhost, files) can compute digests.
  if (globalThis.crypto?.subtle === undefined) {
    return;
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
  const text = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (text !== model.sha256) {
    throw new Error("the ONNX file is damaged: its SHA-256 is not that of the published file");
  }
}

/**
 * @param {"wasm" | "webgpu"} kind
 * @param {Model} model
 * @param {Uint8Array<ArrayBuffer>} content
 * @param {Engines} engines
 * @returns {Promise<Network>}
 */
async function openOn(kind, model, content, engines) {
  const { runtime, threads } = await loadRuntime(kind, engines);
  const session = await runtime.InferenceSession.create(content, {
    executionProviders: [kind],
    graphOptimizationLevel: "all",
    logSeverityLevel: 4,
  }).catch((error) => {
    // What WebAssembly throws itself is a number, which tells nothing.
    const reason = error instanceof Error ? ` (${messageOf(error)})` : "";
    throw new Error(`ONNX Runtime cannot load the file${reason}`, { cause: error });
  });
  const [height, width] = model.size;

  /**
   * @param {Uint8Array} pixels
   * @param {[number, number]} size
   * @returns {Promise<Prediction>}
   */
  async function predict(pixels, size) {
    const input = toInput(resizePixels(pixels, size, model.size, 3));
    const tensor = new runtime.Tensor("float32", input, [1, 3, height, width]);
    const start = performance.now();
    const output = (await session.run({ [model.input]: tensor }))[model.output];
    const milliseconds = performance.now() - start;
    const values = /** @type {Float32Array} */ (await output?.getData());
    const isMap = values?.length === height * width && values.every((p) => p >= 0 && p <= 1);
    if (!isMap) {
      throw new Error("the network gave no probability map");
    }
    return { values: Float32Array.from(values), milliseconds };
  }

  const largest = await replay(model.golden, model.size, predict);
  const engine = kind === "webgpu" ? "WebGPU" : `WebAssembly, ${counted(threads, "thread")}`;
  return { model, engine, note: "", largest, predict };
}

/**
 * Return pixels as the network's input.
 * @param {Uint8Array} pixels RGB [height, width, 3]
 * @returns {Float32Array} [3, height, width] in [0, 1]
 */
function toInput(pixels) {
  const plane = pixels.length / 3;
  const scale = Math.fround(1 / 255);
  const input = new Float32Array(pixels.length);
  for (let pixel = 0; pixel < plane; pixel += 1) {
    for (let channel = 0; channel < 3; channel += 1) {
      const level = /** @type {number} */ (pixels[pixel * 3 + channel]);
      input[channel * plane + pixel] = level * scale;
    }
  }
  return input;
}

/**
 * Return a map at a scan's own size.
 * @param {Float32Array} values [height, width]
 * @param {[number, number]} from (height, width)
 * @param {[number, number]} to (height, width)
 * @returns {Float32Array} [height, width] in [0, 1]
 */
export function atScanSize(values, from, to) {
  return resizeMap(values, from, to).map((value) => Math.min(1, Math.max(0, value)));
}

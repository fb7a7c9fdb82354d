/** Networks: ONNX Runtime in the browser, and the golden pair that each has to reproduce. */

import { fromBase64, inflate } from "page/bytes.js";
import { resizeMap, resizePixels } from "page/resize.js";
import { readScan } from "page/scan.js";

/** @typedef {typeof import("onnxruntime-web")} Runtime */

/**
 * The scan in a file and the probabilities that PyTorch gave for it.
 * @typedef {object} Golden
 * @property {string} scan_png base64
 * @property {number} rows
 * @property {number} columns
 * @property {number} stride
 * @property {string} probabilities_zlib base64, little-endian float32 [rows, columns]
 * @property {{largest: number, mean: number}} tolerance
 */

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
 * @property {Golden} golden
 * @property {[string, string][]} facts what its card says, label by label
 */

/**
 * The engines of ONNX Runtime that the page has.
 * @typedef {object} Engines
 * @property {boolean} webgpu whether WebGPU is one of them, beside WebAssembly
 * @property {string | null} wasm selector of the element that holds the WebAssembly file; null
 *   where it lies beside the script
 */

/**
 * A network that gave its certified numbers in this browser.
 * @typedef {object} Network
 * @property {Model} model
 * @property {string} provider "WebGPU" or "WebAssembly", with the number of threads
 * @property {number} largest difference to the golden probabilities
 * @property {(pixels: Uint8Array, size: [number, number]) => Promise<Prediction>} predict
 */

/**
 * @typedef {object} Prediction
 * @property {Float32Array} values probabilities [height, width] at the network's size
 * @property {number} milliseconds that the network took
 */

const MAX_THREADS = 4;

/**
 * Return the bytes of a part of the page: an element of a single file, or a file beside the page.
 * @param {string} source
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
export async function loadPart(source) {
  if (source.startsWith("#")) {
    const element = document.querySelector(source);
    return fromBase64(element?.textContent?.trim() ?? "");
  }
  const answer = await fetch(source);
  if (!answer.ok) {
    throw new Error(`${source} is missing`);
  }
  return new Uint8Array(await answer.arrayBuffer());
}

/**
 * Open a network with the fastest engine on which its golden pair passes.
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
  /** @type {string[]} */
  const reasons = [];
  if (engines.webgpu && (await hasWebGpu())) {
    try {
      tell("Checking the certified numbers on WebGPU …");
      return await openOn("webgpu", model, content, engines);
    } catch (error) {
      reasons.push(`WebGPU: ${messageOf(error)}`);
    }
  }
  try {
    tell("Checking the certified numbers …");
    return await openOn("wasm", model, content, engines);
  } catch (error) {
    reasons.push(messageOf(error));
    throw new Error(reasons.join("; "), { cause: error });
  }
}

/**
 * @param {unknown} error
 * @returns {string}
 */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

async function hasWebGpu() {
  const { gpu } = /** @type {{gpu?: {requestAdapter(): Promise<unknown>}}} */ (navigator);
  return gpu !== undefined && (await gpu.requestAdapter().catch(() => null)) !== null;
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
    throw new Error(`ONNX Runtime cannot load the file (${messageOf(error)})`, { cause: error });
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

  const largest = await replay(model, predict);
  const engine = kind === "webgpu" ? "WebGPU" : `WebAssembly, ${counted(threads, "thread")}`;
  return { model, provider: engine, largest, predict };
}

/** @type {Map<string, Promise<{runtime: Runtime, threads: number}>>} */
const runtimes = new Map();

/**
 * @param {"wasm" | "webgpu"} kind
 * @param {Engines} engines
 * @returns {Promise<{runtime: Runtime, threads: number}>}
 */
function loadRuntime(kind, engines) {
  const known = runtimes.get(kind);
  if (known !== undefined) {
    return known;
  }
  const loading = startRuntime(kind, engines);
  runtimes.set(kind, loading);
  return loading;
}

/**
 * @param {"wasm" | "webgpu"} kind
 * @param {Engines} engines
 */
async function startRuntime(kind, engines) {
  /** @type {Runtime} */
  const runtime =
    kind === "webgpu"
      ? await import("onnxruntime-web/webgpu")
      : await import("onnxruntime-web/wasm");
  const threads = globalThis.crossOriginIsolated
    ? Math.min(navigator.hardwareConcurrency || 1, MAX_THREADS)
    : 1;
  runtime.env.wasm.numThreads = threads;
  if (engines.wasm !== null) {
    runtime.env.wasm.wasmBinary = await loadPart(engines.wasm);
  }
  return { runtime, threads };
}

/**
 * Run the scan in the file and return the largest difference to the golden probabilities.
 * @param {Model} model
 * @param {(pixels: Uint8Array, size: [number, number]) => Promise<Prediction>} predict
 * @returns {Promise<number>}
 */
async function replay({ golden, size: [height, width] }, predict) {
  const scan = await readScan(new Blob([fromBase64(golden.scan_png)]));
  const packed = fromBase64(golden.probabilities_zlib);
  const bytes = await inflate(packed, 4 * golden.rows * golden.columns);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const { values } = await predict(scan.pixels, scan.size);
  let largest = 0;
  let sum = 0;
  let count = 0;
  for (let y = 0; y < height; y += golden.stride) {
    for (let x = 0; x < width; x += golden.stride, count += 1) {
      const expected = view.getFloat32(4 * count, true);
      const difference = Math.abs(/** @type {number} */ (values[y * width + x]) - expected);
      largest = Math.max(largest, difference);
      sum += difference;
    }
  }
  const { tolerance } = golden;
  if (!(largest <= tolerance.largest && sum / count <= tolerance.mean)) {
    throw new Error(
      `this browser gives other numbers than the certified ones: the largest difference is ` +
        `${largest.toExponential(1)}, ${tolerance.largest.toExponential(1)} is allowed`,
    );
  }
  return largest;
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

/**
 * @param {number} number
 * @param {string} noun
 * @returns {string}
 */
export function counted(number, noun) {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

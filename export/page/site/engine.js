/** ONNX Runtime in the browser, on WebAssembly or on WebGPU. */

import { loadPart } from "page/bytes.js";

/** @typedef {typeof import("onnxruntime-web")} Runtime */
/** @typedef {"wasm" | "webgpu"} Kind */

/**
 * The engines of ONNX Runtime that the page has.
 * @typedef {object} Engines
 * @property {boolean} webgpu whether WebGPU is one of them, beside WebAssembly
 * @property {string | null} wasm selector of the element that holds the WebAssembly file; null
 *   where it lies beside the script
 */

const MAX_THREADS = 4;
/** @type {Map<Kind, Promise<{runtime: Runtime, threads: number}>>} */
const started = new Map();

/**
 * Return whether the browser has WebGPU on a graphics processor.
 *
 * Where there is none, a browser may compute WebGPU's programs on the CPU, which takes a hundred
 * times as long as WebAssembly.
 * @returns {Promise<boolean>}
 */
export async function hasWebGpu() {
  /**
   * @typedef {{info: {isFallbackAdapter?: boolean}, isFallbackAdapter?: boolean}} Adapter
   */
  const { gpu } = /** @type {{gpu?: {requestAdapter(): Promise<Adapter | null>}}} */ (navigator);
  const adapter = await gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !(adapter?.info.isFallbackAdapter ?? adapter?.isFallbackAdapter);
}

/**
 * Return ONNX Runtime, which is loaded once for each kind of engine.
 * @param {Kind} kind
 * @param {Engines} engines
 * @returns {Promise<{runtime: Runtime, threads: number}>}
 */
export function loadRuntime(kind, engines) {
  const known = started.get(kind);
  if (known !== undefined) {
    return known;
  }
  const starting = startRuntime(kind, engines);
  started.set(kind, starting);
  return starting;
}

/**
 * @param {Kind} kind
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

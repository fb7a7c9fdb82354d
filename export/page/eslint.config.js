import js from "@eslint/js";

const browser = Object.fromEntries(
  [
    "Blob",
    "CompressionStream",
    "DecompressionStream",
    "HTMLButtonElement",
    "HTMLCanvasElement",
    "HTMLElement",
    "HTMLInputElement",
    "HTMLOutputElement",
    "HTMLProgressElement",
    "HTMLScriptElement",
    "HTMLUListElement",
    "OffscreenCanvas",
    "Response",
    "TextEncoder",
    "URL",
    "atob",
    "createImageBitmap",
    "crypto",
    "document",
    "fetch",
    "navigator",
    "performance",
    "setTimeout",
  ].map((name) => [name, "readonly"]),
);

export default [
  js.configs.recommended,
  {
    languageOptions: { ecmaVersion: 2023, sourceType: "module", globals: browser },
    rules: {
      curly: "error",
      eqeqeq: "error",
      "max-depth": ["error", 3],
      "max-len": ["error", { code: 100, ignoreUrls: true }],
      "max-lines-per-function": ["error", 45],
      "no-implicit-coercion": "error",
      "no-var": "error",
      "object-shorthand": "error",
      "prefer-const": "error",
      "prefer-template": "error",
    },
  },
];

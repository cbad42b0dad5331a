// What the compiler does not see and a reader should not have to. Formatting is biome's; floors, bans and sizes are the
// tidy test's. Tests may be looser where a claim reads better for it.
import tseslint from "typescript-eslint";

const words = (selector, message) => ({ selector, message });

export default tseslint.config(
  { ignores: ["dist/", "build/", "native/", "node_modules/", "coverage/", "data/", "**/*.mjs"] },
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        project: "./tsconfig.test.json",
        tsconfigRootDir: import.meta.dirname,
      },
    },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      eqeqeq: "error",
      "no-console": "error",
      "max-lines-per-function": ["error", { max: 70, skipBlankLines: true, skipComments: true, IIFEs: true }],
      "no-restricted-syntax": [
        "error",
        words(
          "ExportDefaultDeclaration",
          "No default exports: a name that is searched for must be the name that is found.",
        ),
        words("TSEnumDeclaration", "No enums: use a union of literals."),
        words("TSModuleDeclaration", "No namespaces: use a module."),
        words("TSParameterProperty", "No parameter properties: declare the field."),
      ],
      "@typescript-eslint/no-unused-vars": ["error", { ignoreRestSiblings: true }],
      "@typescript-eslint/switch-exhaustiveness-check": ["error", { considerDefaultExhaustiveForUnions: true }],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      // A loop over an index that noUncheckedIndexedAccess already guards reads well; the rule fights typed arrays.
      "@typescript-eslint/prefer-for-of": "off",
      // A condition on a value that a reused object changes behind the compiler's back is not unnecessary.
      "@typescript-eslint/no-unnecessary-condition": "off",
      // `ReplicaId | -1` and `Value | "large"` tell the reader what the compiler merges away.
      "@typescript-eslint/no-redundant-type-constituents": "off",
      "@typescript-eslint/restrict-template-expressions": ["error", { allowNumber: true, allowBoolean: true }],
    },
  },
  {
    files: ["test/**/*.ts", "vitest.config.ts", "bench/**/*.ts", "examples/**/*.ts"],
    rules: {
      "no-console": "off",
      "max-lines-per-function": "off",
      "no-restricted-syntax": "off",
      "@typescript-eslint/no-unsafe-assignment": "off",
      "@typescript-eslint/no-unsafe-member-access": "off",
      "@typescript-eslint/no-unsafe-call": "off",
      "@typescript-eslint/no-unsafe-argument": "off",
      "@typescript-eslint/no-unsafe-return": "off",
      "@typescript-eslint/no-confusing-void-expression": "off",
      "@typescript-eslint/require-await": "off",
      "@typescript-eslint/restrict-template-expressions": "off",
      "@typescript-eslint/unbound-method": "off",
      "@typescript-eslint/no-empty-function": "off",
    },
  },
);

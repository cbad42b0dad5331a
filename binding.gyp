# The addon: native/core (the engine, which includes no Node header) and native/binding (the only code that does),
# in one shared object. Headers come with scripts/build-addon.mjs. Anything a compiler warns about ends the build.
{
  "targets": [
    {
      "target_name": "plogdb",
      "sources": [
        "<!@(node scripts/native-sources.mjs)"
      ],
      "include_dirs": [
        "native",
        "<!(node -p \"require('node-addon-api').include_dir\")"
      ],
      "defines": [
        "NAPI_VERSION=8",
        "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
        "NODE_ADDON_API_DISABLE_DEPRECATED",
        "_FILE_OFFSET_BITS=64"
      ],
      "cflags": [
        "-O2",
        "-Wall",
        "-Wextra",
        "-Wconversion",
        "-Werror",
        "-fvisibility=hidden",
        "-isystem <!(node -p \"require('node-addon-api').include_dir\")"
      ],
      "cflags_cc!": [
        "-std=gnu++17",
        "-std=gnu++20"
      ],
      "cflags_cc": [
        "-std=c++20",
        "-fno-rtti",
        "-fno-exceptions"
      ],
      "libraries": [
        "-pthread"
      ]
    }
  ]
}

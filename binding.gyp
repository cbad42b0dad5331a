# The addons. plogdb.node is the product: native/core (the engine, which includes no Node header) and native/binding (the
# only code that does). plogdb_sim.node has the same engine on simulated disks, for src/sim. What both share is compiled
# once, into an archive. Headers come with scripts/build-addon.mjs. Anything a compiler warns about ends the build.
{
  "target_defaults": {
    "include_dirs": [
      "native",
      "<!(node -p \"require('node-addon-api').include_dir\")"
    ],
    "defines": [
      "NAPI_VERSION=8",
      "NODE_ADDON_API_DISABLE_CPP_EXCEPTIONS",
      "NODE_ADDON_API_DISABLE_DEPRECATED",
      # A worker may be terminated inside a call of ours: then nothing can be thrown any more, and without this the
      # attempt ends the whole process.
      "NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS",
      "_FILE_OFFSET_BITS=64"
    ],
    "cflags": [
      "-O2",
      "-Wall",
      "-Wextra",
      "-Wconversion",
      "-Werror",
      "-fPIC",
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
    ]
  },
  "targets": [
    {
      "target_name": "plogdb_shared",
      "type": "static_library",
      "sources": [
        "<!@(node scripts/native-sources.mjs shared)"
      ]
    },
    {
      "target_name": "plogdb",
      "dependencies": [
        "plogdb_shared"
      ],
      "sources": [
        "<!@(node scripts/native-sources.mjs product)"
      ],
      "libraries": [
        "-pthread"
      ]
    },
    {
      "target_name": "plogdb_sim",
      "dependencies": [
        "plogdb_shared"
      ],
      "sources": [
        "<!@(node scripts/native-sources.mjs sim)"
      ],
      "libraries": [
        "-pthread"
      ]
    }
  ]
}

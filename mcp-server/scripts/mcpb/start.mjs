// What the person left empty in the settings reaches us as nothing, or as the name of the setting:
// to the server such a variable would be a mistake.
for (const [name, value] of Object.entries(process.env))
  if (name.startsWith("TIDEBASE_") && /^\s*(\$\{user_config\.\w+\})?\s*$/.test(value ?? ""))
    delete process.env[name];

await import(new URL("dist/main.js", import.meta.url).href);

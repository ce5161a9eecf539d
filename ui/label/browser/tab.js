// The id of a browser tab: it outlives a reload and a restart of the server, and no two open tabs share one.
const NAME = "atrous tab";
let id = null;

const held = (name) => new Promise((resolve) => {
  if (!navigator.locks) { resolve(true); return; } // a page that is not from this machine, by plain http
  navigator.locks.request(name, { ifAvailable: true }, (lock) => {
    resolve(lock !== null);
    return lock && new Promise(() => {}); // for as long as the tab is open
  });
});

const find = async () => {
  let found = sessionStorage.getItem(NAME);
  // A duplicated tab begins with a copy of what the first one stores.
  while (!found || !(await held(`${NAME} ${found}`))) found = Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
  sessionStorage.setItem(NAME, found);
  return found;
};

export default function ({ setStateValue }) {
  id ??= find();
  id.then((found) => setStateValue("id", found));
}

/**
 * The page's only script. A link's secret stands behind the `#`, so that it reaches no server, log or
 * preview; this puts it into the form that the human then sends, and takes it out of the address bar.
 */
export const SCRIPT = `
(() => {
  const show = (id) => {
    for (const part of document.querySelectorAll("[data-way]")) part.hidden = part.id !== id;
    return document.getElementById(id);
  };
  const take = () => {
    const given = new URLSearchParams(location.hash.slice(1));
    const link = given.get("link"), token = given.get("token"), decision = given.get("decision");
    if (link === null && token === null) return;
    history.replaceState(null, "", location.pathname + location.search);
    if (link !== null && document.getElementById("by-link") !== null) {
      const form = show("by-link");
      form.elements.link.value = link;
      form.querySelector("button").focus();
    } else if (token !== null && document.getElementById("by-token-" + decision) !== null) {
      const form = show("by-token-" + decision);
      form.elements.token.value = token;
      form.querySelector("button.decide").focus();
    }
  };
  addEventListener("hashchange", take);
  take();
})();
`;

(function () {
  var body = document.body;
  function show(lang) {
    document.getElementById("show-" + lang).checked = true;
    document.documentElement.lang = lang === "zh" ? "zh-Hans" : "en";
    document.title = lang === "zh" ? body.dataset.titleZh : body.dataset.titleEn;
  }
  ["en", "zh"].forEach(function (lang) {
    document.getElementById("show-" + lang).addEventListener("change", function () { show(lang); });
  });
  function read() {
    var wanted = location.hash.slice(1);
    if (wanted === "en" || wanted === "zh") { show(wanted); }
  }
  window.addEventListener("hashchange", read);
  read();
})();

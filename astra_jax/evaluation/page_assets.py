"""Style and script of a report's page: light and dark, wide and narrow, nothing from elsewhere."""

STYLE = """
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1c2127;--soft:#5c6773;--line:#dde2e8;--accent:#2563a8;
--good:#2f8f5b;--bad:#c0562f;--band:#2563a833;--track:#e8ecf1}
@media (prefers-color-scheme:dark){:root{--bg:#14171b;--card:#1d2127;--ink:#e7eaee;--soft:#9aa5b1;--line:#323943;
--accent:#7db4ee;--good:#63c48f;--bad:#ef9a70;--band:#7db4ee40;--track:#2a3038}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:1180px;margin:0 auto;padding:28px 20px 60px}
h1{font-size:26px;margin:0 0 2px}h2{font-size:18px;margin:36px 0 10px}
p{margin:6px 0;max-width:75ch}.soft{color:var(--soft)}code{font-size:13px;overflow-wrap:anywhere}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:10px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:7px 12px;text-align:right;border-bottom:1px solid var(--line);white-space:nowrap}
tr:last-child td{border-bottom:0}th{font-weight:600;color:var(--soft);font-size:13px}
th:first-child,td:first-child{text-align:left}.head td:first-child{font-weight:650}
.pair td{text-align:left;white-space:normal;overflow-wrap:anywhere}
.bar{position:relative;display:block;width:210px;height:16px;border-radius:4px;background:var(--track)}
.bar i{position:absolute;top:0;bottom:0;display:block}
.bar .span{background:var(--band);border-radius:3px}
.bar .dot{width:4px;margin-left:-2px;border-radius:2px;background:var(--accent)}
.bar .ceiling,.bar .floor{width:2px;margin-left:-1px}
.bar .ceiling{background:var(--good)}.bar .floor{background:var(--bad)}
.key i{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 4px 0 12px}
.tools{display:flex;flex-wrap:wrap;gap:8px 16px;align-items:center;position:sticky;top:0;background:var(--bg);
padding:10px 0;z-index:1}
.tools label{display:flex;gap:6px;align-items:center}
select,input{font:inherit;color:inherit;background:var(--card);border:1px solid var(--line);border-radius:6px;
padding:4px 8px;max-width:60vw}
input{width:6.5em}
#cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,350px),1fr));gap:16px}
article{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:12px;min-width:0}
article[hidden]{display:none}
.shown{display:flex;gap:10px;align-items:flex-start}.beside{display:flex;flex-wrap:wrap;gap:6px 8px}
figure{margin:0;flex:none;width:72px}figure.main{width:170px}td small{color:var(--soft)}
figure img,.none{display:block;width:100%;border-radius:6px;background:var(--track)}
.none{aspect-ratio:1;display:grid;place-items:center;color:var(--soft);font-size:12px}
figcaption{font-size:11.5px;color:var(--soft);overflow-wrap:anywhere;line-height:1.3;margin-top:3px}
.prompt{margin:8px 0 6px;overflow-wrap:anywhere}
.chips{display:flex;flex-wrap:wrap;gap:5px;font-size:12.5px;font-variant-numeric:tabular-nums}
.chips span{border:1px solid var(--line);border-radius:5px;padding:1px 7px}.chips b{font-weight:600}
.chips .chosen{border-color:var(--accent);color:var(--accent)}
@media (max-width:600px){main{padding:18px 12px 40px}th,td{padding:6px 8px}
.bar{width:130px}figure.main{width:150px}td small{display:block}}
@media print{.tools{display:none}article{break-inside:avoid}}
"""

# Each card has its figures in data-v as JSON (null where a picture has no value), in the order of the select.
SCRIPT = """
const cards=[...document.querySelectorAll('#cards article')],box=document.getElementById('cards'),
 by=document.getElementById('by'),first=document.getElementById('first'),limit=document.getElementById('limit'),
 side=document.getElementById('side'),told=document.getElementById('told');
const values=new Map(cards.map(c=>[c,JSON.parse(c.dataset.v)]));
function show(){
 const k=by.selectedIndex,lower=by.options[k].dataset.lower==='1',sign=(first.value==='worst')===lower?-1:1;
 const of=c=>values.get(c)[k],edge=limit.value.trim()===''?null:Number(limit.value.replace(',','.'));
 cards.sort((a,b)=>{const x=of(a),y=of(b);return x===null||y===null?(x===null)-(y===null):sign*(x-y)});
 let n=0;
 for(const c of cards){
  const v=of(c),out=edge!==null&&!Number.isNaN(edge)&&(v===null||(side.value==='below'?v>=edge:v<=edge));
  c.hidden=out;n+=!out;box.append(c);
  c.querySelectorAll('.chips span').forEach(s=>s.classList.toggle('chosen',s.dataset.k===String(k)));
 }
 told.textContent=n+' of '+cards.length;
}
for(const e of [by,first,limit,side])e.addEventListener('input',show);
show();
"""

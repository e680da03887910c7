// Starts the peer and says where: `PORT` (3001) on loopback, `DYNAMODB_ENDPOINT` for DynamoDB, without it users in memory.
import "reflect-metadata";
import { NestFactory } from "@nestjs/core";
import { App } from "./app.js";

const port = Number(process.env.PORT ?? 3001);
const app = await NestFactory.create(App, { logger: ["error", "warn"] });
app.setGlobalPrefix("api/v1");
await app.listen(port, "127.0.0.1");
console.log(`process ${process.pid} listens at http://127.0.0.1:${port}`);
